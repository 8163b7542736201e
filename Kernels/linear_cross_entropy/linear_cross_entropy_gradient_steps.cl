// Linear cross-entropy, backward: what goes before and after the products of linear_cross_entropy_backward.cl, which
// says what coefficients and live tiles are.
//
//   tilecl_linear_cross_entropy_coefficients   what the gradients of a token's logits are made of
//   tilecl_linear_cross_entropy_entries        the columns and coefficients of targets with TARGETS_TOP
//   tilecl_linear_cross_entropy_fill_live      what every tile is wanted for
//   tilecl_linear_cross_entropy_live           which tiles may hold a gradient that matters, by their largest logits
//   tilecl_linear_cross_entropy_live_targets   and which hold a target
//   tilecl_linear_cross_entropy_embeddings     dE from its sums
//   tilecl_linear_cross_entropy_bias           db from the shares of tiles
//   tilecl_linear_cross_entropy_empty_rows     the rows of dC that are zero because of the filter
//
// Work-groups of any size, one work-item for each element that is written, but for dE's: any number along both axes.
//
// Check: -D HAS_WEIGHTS=1 -D SMOOTHING=1
// Check: -D TARGETS=1 -D HAS_WEIGHTS=1 -D VECTOR=8
// Check: -D TARGETS=2 -D HAS_WEIGHTS=1

#define COEFFICIENT_A 0
#define COEFFICIENT_R 1
#define COEFFICIENT_S 2
#define COEFFICIENT_Q 3
#define COEFFICIENT_D 4
#define COEFFICIENT_H 5
#define COEFFICIENT_LSE 6
#define COEFFICIENT_LOW 7
#define COEFFICIENT_THRESHOLD 8

#define LIVE_OTHER 4u

#define REDUCTION_NONE 0
#define REDUCTION_MEAN 2
#define REDUCTION_DIVIDED 3

// With d the gradient by the token's loss, times its weight, and T = sum_v w ((1 - a) q + a / V):
//
//   A = d (T + 2 zeta LSE) + dLSE - dlogp      R = A - d (1 - a) w + dlogp, of a class target, added up without these,
//                                              plus (p - 1) A, its whole gradient, with log_probabilities
//   S = d a / V      Q = d (1 - a)             threshold = epsilon max(|A|, |Q w| or |R - A|, |D|)
//
// Gradients that are null are 0, that of the loss 1.
__kernel void tilecl_linear_cross_entropy_coefficients(
    uint tokens, __global const float *lse, __global const float *low, __global const float *masses,
    __global const float *entropies, __global const float *denominator, __global const float *weight_sum,
    __global const float *log_probabilities, __global const int *targets, ulong target_offset, ulong target_stride,
    int ignore_index, __global const float *token_weights, ulong token_weight_offset, ulong token_weight_stride,
    uint sequence_length, int shift, uint whole_vocabulary, float smoothing, float z_weight, int reduction,
    float divisor, __global const float *loss_gradient, ulong loss_offset, ulong loss_stride, float loss_factor,
    __global const float *lse_gradient, ulong lse_offset, ulong lse_stride,
    __global const float *log_probability_gradient, ulong log_probability_offset, ulong log_probability_stride,
    __global const float *entropy_gradient, ulong entropy_offset, ulong entropy_stride, float epsilon,
    __global float *coefficients)
{
  const size_t n = get_global_id(0);
  if (n >= tokens)
    return;
  const float mass = masses[n];
#if TARGETS == TARGETS_CLASSES
  const int row = target_row(n, sequence_length, shift);
  const bool counts = row >= 0 && targets[target_offset + row * target_stride] != ignore_index;
#else
  const bool counts = mass != 0.0f;
#endif
  float d = (loss_gradient ? loss_gradient[loss_offset + n * loss_stride] : 1.0f) * loss_factor;
  if (reduction == REDUCTION_MEAN)
    d = denominator[0] == 0.0f ? 0.0f : d / denominator[0];
  else if (reduction == REDUCTION_DIVIDED)
    d /= divisor;
  if (token_weights)
    d *= token_weights[token_weight_offset + n * token_weight_stride];
  if (!counts)
    d = 0.0f;

  const float share = smoothing / (float)whole_vocabulary;
  const float all = smoothing == 0.0f ? 0.0f : HAS_WEIGHTS ? weight_sum[0] : (float)whole_vocabulary;
  const float of_target = d * (1.0f - smoothing);
  const float of_lse = lse_gradient ? lse_gradient[lse_offset + n * lse_stride] : 0.0f;
  const float of_log_p =
      counts && log_probability_gradient ? log_probability_gradient[log_probability_offset + n * log_probability_stride]
                                         : 0.0f;
  const float of_entropy = entropy_gradient ? entropy_gradient[entropy_offset + n * entropy_stride] : 0.0f;
  // An infinite LSE is no factor of a z-loss that there is not.
  const float z_share = z_weight == 0.0f || d == 0.0f ? 0.0f : d * 2.0f * z_weight * lse[n];
  const float rest = d * (share * all) + z_share + of_lse;
  const float taken = of_target * mass - of_log_p;
  const float a = rest + taken;
  coefficients[COEFFICIENT_A * (size_t)tokens + n] = a;
  coefficients[COEFFICIENT_R * (size_t)tokens + n] =
      log_probabilities ? fma(expm1(log_probabilities[n]), a, rest) : rest;
  coefficients[COEFFICIENT_S * (size_t)tokens + n] = d * share;
  coefficients[COEFFICIENT_Q * (size_t)tokens + n] = of_target;
  coefficients[COEFFICIENT_D * (size_t)tokens + n] = of_entropy;
  coefficients[COEFFICIENT_H * (size_t)tokens + n] = of_entropy == 0.0f ? 0.0f : entropies[n];
  coefficients[COEFFICIENT_LSE * (size_t)tokens + n] = lse[n];
  coefficients[COEFFICIENT_LOW * (size_t)tokens + n] = low[n];
  const float largest = fmax(fmax(fabs(a), fabs(taken)), fabs(of_entropy));
  // Above 0, so that a token without any coefficient keeps no tile.
  coefficients[COEFFICIENT_THRESHOLD * (size_t)tokens + n] = fmax(epsilon * largest, FLT_MIN);
}

// columns[n][e]: the column of an entry's class, or -1; values[n][e]: -Q w q.
__kernel void tilecl_linear_cross_entropy_entries(
    uint tokens, uint entries, __global const int *targets, ulong target_offset, ulong target_stride, int ignore_index,
    __global const storage_t *probabilities, ulong probability_offset, ulong probability_stride,
    __global const float *weights, uint sequence_length, int shift, uint first_class, uint vocabulary,
    __global const int *inverse, __global const float *coefficients, __global int *columns, __global float *values)
{
  const size_t at = get_global_id(0);
  if (at >= (size_t)tokens * entries)
    return;
  const uint n = at / entries;
  const int row = target_row(n, sequence_length, shift);
  int column = -1;
  float value = 0.0f;
  if (row >= 0) {
    const int index = targets[target_offset + row * target_stride + at % entries];
    const uint own = (uint)index - first_class;
    if (index != ignore_index && own < vocabulary) {
      column = inverse ? inverse[own] : (int)own;
      value = -coefficients[COEFFICIENT_Q * (size_t)tokens + n] * (HAS_WEIGHTS ? weights[index] : 1.0f) *
              load_storage(probabilities, probability_offset + row * probability_stride + at % entries);
    }
  }
  columns[at] = column;
  values[at] = value;
}

// live[column tile][token tile] |= full where the gradient of a token, the second index, in a tile, the first one, may
// reach the token's threshold. A largest logit bounds p from above, and with it p |A| and, while log p is below -1,
// p |D| (|log p| + |H|).
__kernel void tilecl_linear_cross_entropy_live(
    __global const ushort *tile_maxima, uint tokens, uint tile_columns, uint token_tiles,
    __global const float *coefficients, uint full, __global uint *live)
{
  const size_t n = get_global_id(0);
  const size_t column_tile = get_global_id(1);
  if (n >= tokens)
    return;
  const float top = as_float((uint)tile_maxima[column_tile * tokens + n] << 16);
  const float a = coefficients[COEFFICIENT_A * (size_t)tokens + n];
  const float of_entropy = coefficients[COEFFICIENT_D * (size_t)tokens + n];
  const float log_p =
      (top - coefficients[COEFFICIENT_LSE * (size_t)tokens + n]) - coefficients[COEFFICIENT_LOW * (size_t)tokens + n];
  float bound = exp(log_p) * fabs(a);
  if (of_entropy != 0.0f)
    bound = log_p < -1.0f ? bound + exp(log_p) * fabs(of_entropy) *
                                        (fabs(log_p) + fabs(coefficients[COEFFICIENT_H * (size_t)tokens + n]))
                          : INFINITY;
  // Some units in the last place more, for the tile's own roundings; a NaN is not below.
  if (!(bound * 1.00001f < coefficients[COEFFICIENT_THRESHOLD * (size_t)tokens + n]))
    atomic_or(live + column_tile * token_tiles + n / tile_columns, full);
}

// live[i] = bits.
__kernel void tilecl_linear_cross_entropy_fill_live(uint count, uint bits, __global uint *live)
{
  if (get_global_id(0) < count)
    live[get_global_id(0)] = bits;
}

// For every token, or with TARGETS_TOP every entry: the tile with its target is live.
__kernel void tilecl_linear_cross_entropy_live_targets(
    uint tokens, uint entries, __global const int *classes, __global const int *inverse, uint tile_rows,
    uint tile_columns, uint token_tiles, uint full, __global uint *live)
{
  const size_t at = get_global_id(0);
  if (at >= (size_t)tokens * entries)
    return;
  const int index = classes[at];
  if (index < 0)
    return;
#if TARGETS == TARGETS_TOP
  const uint column = (uint)index;
#else
  const uint column = inverse ? (uint)inverse[index] : (uint)index;
#endif
  atomic_or(live + (size_t)(column / tile_rows) * token_tiles + at / entries / tile_columns, full);
}

// dE[n, d] = scale sums[n, d] - S[n] smoothing[d], smoothing[d] = scale sum_v w[v] C[v, d] if SMOOTHING; row by row,
// get_global_size(1) rows at a time, of which a work-item makes every get_global_size(0)-th element.
__kernel void tilecl_linear_cross_entropy_embeddings(
    __global const float *sums, uint tokens, uint hidden_size, float scale, __global const float *coefficients,
    __global const float *smoothing, __global storage_t *embedding_gradient)
{
  for (size_t n = get_global_id(1); n < tokens; n += get_global_size(1)) {
#if SMOOTHING
    const float dense = coefficients[COEFFICIENT_S * (size_t)tokens + n];
#endif
    for (size_t d = get_global_id(0); d < hidden_size; d += get_global_size(0)) {
      float x = scale * sums[n * hidden_size + d];
#if SMOOTHING
      x -= dense * smoothing[d];
#endif
      store_storage(embedding_gradient, n * hidden_size + d, x);
    }
  }
}

// db[v] = scale sum of the shares of v's tiles - w[v] S, S = scale sum_n S[n] in smoothing[0] if SMOOTHING.
__kernel void tilecl_linear_cross_entropy_bias(
    __global const float *bias_parts, uint tile_rows, uint token_tiles, uint first_tile, uint tile_count,
    uint vocabulary, __global const int *order, float scale, __global const float *weights, ulong weight_offset,
    __global const float *smoothing, __global storage_t *bias_gradient)
{
  const uint i = get_global_id(0);
  const uint column = first_tile * tile_rows + i;
  if (i >= tile_count * tile_rows || column >= vocabulary)
    return;
  const int index = order ? order[column] : (int)column;
  float sum = 0.0f;
  for (uint t = 0; t < token_tiles; ++t)
    sum += bias_parts[((size_t)(i / tile_rows) * token_tiles + t) * tile_rows + i % tile_rows];
  sum *= scale;
#if SMOOTHING
  sum -= (HAS_WEIGHTS ? weights[weight_offset + index] : 1.0f) * smoothing[0];
#endif
  store_storage(bias_gradient, index, sum);
}

// empty[column]: 1 if no tile of the class is live for dC (bit 1) although some gradient is not 0. With is_paired,
// tiles are those of PAIRED.
__kernel void tilecl_linear_cross_entropy_empty_rows(
    __global const float *tiles, __global const uint *live, uint tile_rows, uint tile_columns, uint token_tiles,
    uint first_tile, uint tile_count, uint tokens, uint vocabulary, uint is_paired, __global int *empty)
{
  const uint i = get_global_id(0);
  const uint column = first_tile * tile_rows + i;
  if (i >= tile_count * tile_rows || column >= vocabulary)
    return;
  bool is_dropped = true, is_zero = true;
  for (uint t = 0; t < token_tiles && is_dropped; ++t) {
    is_dropped = (live[(size_t)(column / tile_rows) * token_tiles + t] & 2u) == 0;
    __global const float *tile = tiles + ((size_t)(i / tile_rows) * token_tiles + t) * (tile_rows * tile_columns);
    const uint first = i % tile_rows * tile_columns;
    for (uint c = 0; c < min(tile_columns, tokens - t * tile_columns); ++c)
      is_zero &= is_paired ? (((__global const ushort *)tile)[first + c] & 0x7fffu) == 0 : tile[first + c] == 0.0f;
  }
  empty[column] = is_dropped && !is_zero;
}
