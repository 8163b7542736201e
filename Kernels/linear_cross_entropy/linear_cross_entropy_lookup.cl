// Linear cross-entropy: logits of classes that are named for each token.
//
// Ids are int32, [N][entries], of the whole vocabulary; row n + shift of them is that of token n, if it is in the same
// sequence. This classifier has classes first_class + 0..<vocabulary.
//
// Check: -D HAS_BIAS=1 -D SOFTCAP=1
// Check: -D QUANTIZED=4
// Check: -D QUANTIZED=8 -D SYMMETRIC=0 -D VECTOR=8

// found[n][e] = z[n, ids[row][e]], 0 for a class that is not here; one work-item for each token and entry.
__kernel void tilecl_linear_cross_entropy_gather(
    __global const storage_t *embeddings, ulong embedding_offset, ulong embedding_stride, CLASSIFIER_PARAMETERS,
    __global const storage_t *biases, ulong bias_offset, __global const int *ids, ulong id_offset, ulong id_stride,
    uint entries, uint tokens, uint hidden_size, uint sequence_length, int shift, uint first_class, uint vocabulary,
    float scale, float softcap, __global float *found)
{
  const size_t at = get_global_id(0);
  if (at >= (size_t)tokens * entries)
    return;
  const classifier_t classifier = CLASSIFIER;
  const uint n = at / entries;
  const int row = target_row(n, sequence_length, shift);
  float z = 0.0f;
  if (row >= 0) {
    const uint index = (uint)ids[id_offset + row * id_stride + at % entries] - first_class;
    if (index < vocabulary) {
      vec_t sums = 0.0f;
      uint k = 0;
      for (; k + VECTOR <= hidden_size; k += VECTOR)
        sums = fma(load_elements(embeddings, embedding_offset + n * embedding_stride + k),
                   class_elements(classifier, (int)index, k), sums);
      float_lanes_t lanes;
      lanes.vector = sums;
      float sum = 0.0f;
      for (int i = 0; i < VECTOR; ++i)
        sum += lanes.lanes[i];
      for (; k < hidden_size; ++k)
        sum = fma(load_storage(embeddings, embedding_offset + n * embedding_stride + k),
                  class_element(classifier, (int)index, k), sum);
      const logits_t logits = {scale, softcap, 1.0f / softcap};
#if HAS_BIAS
      lanes.vector = logit_of((vec_t)(sum), load_storage(biases, bias_offset + index), logits);
#else
      lanes.vector = logit_of((vec_t)(sum), 0.0f, logits);
#endif
      z = lanes.lanes[0];
    }
  }
  found[at] = z;
}
