// Linear cross-entropy: sums of rows, and the order in which classes are visited, by their mean logits.
//
//   tilecl_linear_cross_entropy_row_sums       weighted sums of the rows of embeddings, in parts
//   tilecl_linear_cross_entropy_class_sums     weighted sums of the rows of the classifier, in parts
//   tilecl_linear_cross_entropy_part_sums      the parts added up in order
//   tilecl_linear_cross_entropy_keys           the mean logit of each class, as the key that classes are sorted by
//   tilecl_linear_cross_entropy_sort_count, _sort_scan, _sort_scatter   one pass of a stable sort by 8 bits of the keys
//   tilecl_linear_cross_entropy_inverse        the column of each class
//
// Work-groups of any size, one work-item for each element that is written, but for sort_scan, one group of one item.
//
// Check: -D HAS_BIAS=1
// Check: -D QUANTIZED=4 -D VECTOR=8
// Check: -D QUANTIZED=8 -D SYMMETRIC=0

// parts[part][d] = sum of row_weights[n] E[n, d] over the rows of a part; a weight is 1 if row_weights is null.
__kernel void tilecl_linear_cross_entropy_row_sums(
    __global const storage_t *rows, ulong row_offset, ulong row_stride, __global const float *row_weights,
    uint row_count, uint part_rows, uint hidden_size, __global float *parts)
{
  const uint d = get_global_id(0), part = get_global_id(1);
  if (d >= hidden_size)
    return;
  float sum = 0.0f;
  for (size_t n = (size_t)part * part_rows; n < min((ulong)(part + 1) * part_rows, (ulong)row_count); ++n)
    sum = fma(row_weights ? row_weights[n] : 1.0f, load_storage(rows, row_offset + n * row_stride + d), sum);
  parts[(size_t)part * hidden_size + d] = sum;
}

// The same for rows of the classifier; a weight is 1 if weights is null.
__kernel void tilecl_linear_cross_entropy_class_sums(
    CLASSIFIER_PARAMETERS, __global const float *weights, ulong weight_offset, uint vocabulary, uint part_rows,
    uint hidden_size, __global float *parts)
{
  const uint d = get_global_id(0), part = get_global_id(1);
  if (d >= hidden_size)
    return;
  const classifier_t classifier = CLASSIFIER;
  float sum = 0.0f;
  for (uint v = part * part_rows; v < min((ulong)(part + 1) * part_rows, (ulong)vocabulary); ++v)
    sum = fma(weights ? weights[weight_offset + v] : 1.0f, class_element(classifier, (int)v, d), sum);
  parts[(size_t)part * hidden_size + d] = sum;
}

// sums[d] = factor times the parts' sum.
__kernel void tilecl_linear_cross_entropy_part_sums(
    __global const float *parts, uint part_count, uint hidden_size, float factor, __global float *sums)
{
  const uint d = get_global_id(0);
  if (d >= hidden_size)
    return;
  float sum = 0.0f;
  for (uint part = 0; part < part_count; ++part)
    sum += parts[(size_t)part * hidden_size + d];
  sums[d] = factor * sum;
}

// keys[v]: scale (C[v] . mean + bias), which is the mean logit before a softcap, as bits that rise with it.
__kernel void tilecl_linear_cross_entropy_keys(
    CLASSIFIER_PARAMETERS, __global const storage_t *biases, ulong bias_offset, __global const float *mean,
    uint vocabulary, uint hidden_size, float scale, __global uint *keys)
{
  const uint v = get_global_id(0);
  if (v >= vocabulary)
    return;
  const classifier_t classifier = CLASSIFIER;
  vec_t sums = 0.0f;
  uint k = 0;
  for (; k + VECTOR <= hidden_size; k += VECTOR)
    sums = fma(LOAD(0, mean + k), class_elements(classifier, (int)v, k), sums);
  float_lanes_t lanes;
  lanes.vector = sums;
  float sum = 0.0f;
  for (int i = 0; i < VECTOR; ++i)
    sum += lanes.lanes[i];
  for (; k < hidden_size; ++k)
    sum = fma(mean[k], class_element(classifier, (int)v, k), sum);
#if HAS_BIAS
  sum += load_storage(biases, bias_offset + v);
#endif
  const uint bits = as_uint(scale * sum);
  keys[v] = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

// counts[digit][chunk]: how many classes of a chunk have the digit; 256 digits. One work-item a chunk.
__kernel void tilecl_linear_cross_entropy_sort_count(
    __global const uint *keys, __global const int *order, uint vocabulary, uint chunk_size, uint chunks, uint shift,
    __global uint *counts)
{
  const uint chunk = get_global_id(0);
  if (chunk >= chunks)
    return;
  for (uint digit = 0; digit < 256; ++digit)
    counts[(size_t)digit * chunks + chunk] = 0;
  for (uint i = chunk * chunk_size; i < min((chunk + 1) * chunk_size, vocabulary); ++i)
    ++counts[(size_t)(keys[order ? order[i] : (int)i] >> shift & 255u) * chunks + chunk];
}

// counts become the places of the first class with each digit of each chunk.
__kernel void tilecl_linear_cross_entropy_sort_scan(uint count, __global uint *counts)
{
  uint sum = 0;
  for (uint i = 0; i < count; ++i) {
    const uint own = counts[i];
    counts[i] = sum;
    sum += own;
  }
}

__kernel void tilecl_linear_cross_entropy_sort_scatter(
    __global const uint *keys, __global const int *order, uint vocabulary, uint chunk_size, uint chunks, uint shift,
    __global uint *counts, __global int *sorted)
{
  const uint chunk = get_global_id(0);
  if (chunk >= chunks)
    return;
  for (uint i = chunk * chunk_size; i < min((chunk + 1) * chunk_size, vocabulary); ++i) {
    const int index = order ? order[i] : (int)i;
    sorted[counts[(size_t)(keys[index] >> shift & 255u) * chunks + chunk]++] = index;
  }
}

__kernel void tilecl_linear_cross_entropy_inverse(__global const int *order, uint vocabulary, __global int *inverse)
{
  const uint column = get_global_id(0);
  if (column < vocabulary)
    inverse[order[column]] = (int)column;
}
