// Linear cross-entropy, forward: what the loss of a linear classifier needs to know of its N x V logits, which never
// leave registers or local memory.
//
//   z[n, v] = softcap(scale (E[n] . C[v] + bias[v]))
//
// E is [N, D], C is [V, D], both of storage_t with D contiguous and any distance between rows; C may be quantized (see
// common.clh). A work-group takes TILE_COLUMNS tokens and one of the splits of the vocabulary, which it walks over in
// tiles of TILE_ROWS classes. A tile's products are summed up (see tiles.clh), become logits and enter each token's
// running statistics, whose lanes run along tokens. At the end the group writes each of them to
// partials[plane][split][n], fp32 (linear_cross_entropy_steps.cl says how they go on):
//
//   0 maximum   max z                          PLANE_WEIGHTED   sum w z, w of the class
//   1 sum       sum exp(z - maximum)           PLANE_SPREAD     sum exp(z - maximum) (z - maximum)
//   2 target    z of targets[n], or -inf;      PLANE_ARGMAX     the lowest class of those with the largest z,
//               of probabilities sum w q z                      an int's bits
//   PLANE_MASS  sum w q
//
// With TARGETS_TOP planes 2 and PLANE_MASS are not written. With TILE_MAXIMA, tile_maxima[tile][n] takes the largest
// logit of each tile, rounded up to the upper half of a float, and kept_products[column][n] takes E[n] . C[v] of the
// first kept_columns columns, a multiple of TILE_ROWS or not less than V.
//
// Infinite logits follow the formula's limits: a maximum that is infinite leaves the sum relative to 0.
//
// Work-group: GROUP_COLUMNS x GROUP_ROWS work-items; groups: (ceil(N / TILE_COLUMNS), splits). Local memory, in floats:
// LOCAL_FLOATS + GROUP_ROWS * TILE_COLUMNS.
//
// Preconditions: N, V, D in 1...2^31 - 1; columns_per_split a multiple of TILE_ROWS with splits * columns_per_split >=
// V; targets are classes of this classifier or -1, rows of probabilities are in 0..<N or -1 for none.
//
// Needs: tiles.clh
// Check: -D HAS_BIAS=1 -D SOFTCAP=1 -D HAS_ORDER=1 -D SMOOTHING=1 -D HAS_WEIGHTS=1
// Check: -D SPREAD=1 -D ARGMAX=1 -D TILE_MAXIMA=1 -D SMOOTHING=1
// Check: -D TARGETS=1 -D QUANTIZED=4 -D VECTOR=8 -D HAS_WEIGHTS=1
// Check: -D TARGETS=2 -D QUANTIZED=8 -D SYMMETRIC=0 -D VECTOR=16 -D SPREAD=1
// Check: -D GROUP_ITEMS=64 -D GROUP_ROWS=8 -D GROUP_COLUMNS=8 -D TILE_MAXIMA=1 -D ARGMAX=1 -D SPREAD=1 -D QUANTIZED=4

#ifndef TILE_MAXIMA
#define TILE_MAXIMA 0
#endif
#ifndef PLANE_MASS
#define PLANE_MASS 3
#endif
#ifndef PLANE_WEIGHTED
#define PLANE_WEIGHTED 4
#endif
#ifndef PLANE_SPREAD
#define PLANE_SPREAD 5
#endif
#ifndef PLANE_ARGMAX
#define PLANE_ARGMAX 6
#endif

// What becomes of the numbers of the items that share a token.
#define MERGE_SUM 0
#define MERGE_MAXIMUM 1
#define MERGE_MINIMUM 2

// Merges a vector of each item over the rows of the group, in order, for the group's first row of items or all.
INLINE vec_t merge_rows(__local vec_t *scratch, const int c, const vec_t x, const int kind)
{
#if GROUP_ROWS == 1
  return x;
#else
  const int at = get_local_id(0) * OWN_VECTORS + c;
  const int pitch = GROUP_COLUMNS * OWN_VECTORS;
  barrier(CLK_LOCAL_MEM_FENCE);
  scratch[get_local_id(1) * pitch + at] = x;
  barrier(CLK_LOCAL_MEM_FENCE);
  vec_t merged = scratch[at];
  for (int row = 1; row < GROUP_ROWS; ++row) {
    const vec_t y = scratch[row * pitch + at];
    merged = kind == MERGE_SUM ? merged + y : kind == MERGE_MAXIMUM ? larger(merged, y) : merged < y ? merged : y;
  }
  return merged;
#endif
}

// Writes a vector of tokens' numbers, of which `count` are wanted.
INLINE void write_tokens(__global float *target, const vec_t x, const int count)
{
  if (count >= VECTOR) {
    STORE(x, 0, target);
  } else {
    float_lanes_t lanes;
    lanes.vector = x;
    for (int i = 0; i < count; ++i)
      target[i] = lanes.lanes[i];
  }
}

INLINE ivec_t read_tokens(__global const int *source, const int count)
{
  int_lanes_t lanes;
  for (int i = 0; i < VECTOR; ++i)
    lanes.lanes[i] = i < count ? source[i] : -1;
  return lanes.vector;
}

__kernel __attribute__((reqd_work_group_size(GROUP_COLUMNS, GROUP_ROWS, 1)))
void tilecl_linear_cross_entropy_partials(
    __global const storage_t *embeddings, ulong embedding_offset, ulong embedding_stride, CLASSIFIER_PARAMETERS,
    __global const storage_t *biases, ulong bias_offset, __global const float *weights, ulong weight_offset,
    __global const int *targets,
    __global const storage_t *probabilities, ulong probability_offset, ulong probability_stride, uint tokens,
    uint vocabulary, uint hidden_size, uint columns_per_split, float scale, float softcap, __global float *partials,
    __global ushort *tile_maxima, __global float *kept_products, uint kept_columns)
{
  WIDE_VECTORS();
  MEMORY(GROUP_ROWS * TILE_COLUMNS);
  __local vec_t *scratch = memory + LOCAL_FLOATS / VECTOR;
  SUMS(sums, 1);
  const classifier_t classifier = CLASSIFIER;
  const logits_t logits = {scale, softcap, 1.0f / softcap};
  embeddings += embedding_offset;

  const uint first_token = get_group_id(0) * TILE_COLUMNS;
  const uint split = get_group_id(1);
  // 2^31 - 1 columns and one tile more still fit 32 bits.
  const uint begin = split * columns_per_split;
  const uint end = min(begin + columns_per_split, vocabulary);
  // Vectors that hold a token, the same for every item of a CPU; items of a GPU have all.
  const int token_count = (int)min((uint)TILE_COLUMNS, tokens - first_token);
  const int vectors = GROUP_ITEMS > 1 ? OWN_VECTORS : CEIL_DIV(token_count, VECTOR);

  vec_t maximum[OWN_VECTORS], sum[OWN_VECTORS], target[OWN_VECTORS], mass[OWN_VECTORS], weighted[OWN_VECTORS];
  vec_t spread[OWN_VECTORS];
  ivec_t argmax[OWN_VECTORS];
  for (int c = 0; c < OWN_VECTORS; ++c) {
    maximum[c] = -INFINITY;
    target[c] = TARGETS == TARGETS_CLASSES ? -INFINITY : 0.0f;
    sum[c] = mass[c] = weighted[c] = spread[c] = 0.0f;
    argmax[c] = INT_MAX;
  }

  for (uint column = begin; column < end; column += TILE_ROWS) {
    multiply_logits(sums, RIGHT_TILE, LEFT_TILE, embeddings, embedding_stride, classifier, first_token, tokens, column,
                    end, hidden_size, GROUP_ITEMS > 1 ? false : column > begin && hidden_size <= DEPTH * STEP);
    const int rows = min((int)(end - column) - ROW_IN_TILE(0), OWN_ROWS);
    for (int c = 0; c < vectors; ++c) {
      vec_t top = -INFINITY;
#if TARGETS != TARGETS_TOP || TILE_MAXIMA
      const int place = COLUMN_IN_TILE(c);
      const int count = token_count - place;
#endif
#if TARGETS == TARGETS_CLASSES
      const ivec_t sought = read_tokens(targets + first_token + place, count);
#elif TARGETS == TARGETS_PROBABILITIES
      int_lanes_t sought;
      sought.vector = read_tokens(targets + first_token + place, count);
#endif
#if ARGMAX
      vec_t best = maximum[c];
#endif
      for (int r = 0; r < rows; ++r) {
#if HAS_BIAS || ARGMAX || SMOOTHING || TARGETS != TARGETS_TOP
        const int index = class_at(classifier, column + ROW_IN_TILE(r));
#endif
#if HAS_BIAS
        const float bias = load_storage(biases, bias_offset + index);
#else
        const float bias = 0.0f;
#endif
#if SMOOTHING || TARGETS == TARGETS_PROBABILITIES
        const float weight = HAS_WEIGHTS ? weights[weight_offset + index] : 1.0f;
#endif
#if TILE_MAXIMA
        if (column < kept_columns)
          write_tokens(kept_products + (size_t)(column + ROW_IN_TILE(r)) * tokens + first_token + place,
                       sums[r * OWN_VECTORS + c], count);
#endif
        const vec_t z = logit_of(sums[r * OWN_VECTORS + c], bias, logits);
        sums[r * OWN_VECTORS + c] = z;
        top = larger(top, z);
#if ARGMAX
        const ivec_t leads = (z > best) | ((z == best) & ((ivec_t)(index) < argmax[c]));
        argmax[c] = select(argmax[c], (ivec_t)(index), leads);
        best = larger(best, z);
#endif
#if SMOOTHING
        weighted[c] += weight * z;
#endif
#if TARGETS == TARGETS_CLASSES
        target[c] = select(target[c], z, sought == (ivec_t)(index));
#elif TARGETS == TARGETS_PROBABILITIES
        float_lanes_t q;
        for (int i = 0; i < VECTOR; ++i)
          q.lanes[i] = sought.lanes[i] < 0 ? 0.0f
                                           : load_storage(probabilities, probability_offset + index +
                                                                             sought.lanes[i] * probability_stride);
        const vec_t share = weight * q.vector;
        mass[c] += share;
        // A probability of 0 takes nothing, not even from an infinite logit.
        target[c] += select(share * z, (vec_t)(0.0f), share == (vec_t)(0.0f));
#endif
      }
#if TILE_MAXIMA
      const vec_t tile_top = merge_rows(scratch, c, top, MERGE_MAXIMUM);
      if (get_local_id(1) == 0) {
        // The bits of a positive float grow with it, those of a negative one shrink.
        const uvec_t bits = AS_UINTS(tile_top);
        const uvec_t up = (bits + select((uvec_t)(0xffffu), (uvec_t)(0u), AS_INTS(bits) < (ivec_t)(0))) >> 16;
        union { uvec_t vector; uint lanes[VECTOR]; } rounded;
        rounded.vector = select(up, (uvec_t)(0x7fc0u), isnan(tile_top));
        for (int i = 0; i < min(count, VECTOR); ++i)
          tile_maxima[(size_t)(column / TILE_ROWS) * tokens + first_token + place + i] = (ushort)rounded.lanes[i];
      }
#endif
      const vec_t higher = larger(maximum[c], top);
      const vec_t shift = shift_of(higher);
      // A new maximum grows rare as tiles go by; the factor for an old one is exactly 1.
      if (any(higher > maximum[c])) {
        const vec_t old = maximum[c] == (vec_t)(INFINITY) ? (vec_t)(0.0f) : maximum[c];
        const vec_t factor = exponential(old - shift);
#if SPREAD
        spread[c] = select(factor * (spread[c] + (old - shift) * sum[c]), (vec_t)(0.0f), factor == (vec_t)(0.0f));
#endif
        sum[c] *= factor;
        maximum[c] = higher;
      }
      vec_t terms = 0.0f, spreads = 0.0f;
      for (int r = 0; r < rows; ++r) {
        const vec_t x = sums[r * OWN_VECTORS + c] - shift;
        const vec_t term = exponential(x);
        terms += term;
#if SPREAD
        spreads += select(term * x, (vec_t)(0.0f), term == (vec_t)(0.0f));
#endif
      }
      sum[c] += terms;
      spread[c] += spreads;
    }
  }

  const size_t plane = (size_t)get_num_groups(1) * tokens;
  for (int c = 0; c < vectors; ++c) {
    const int place = COLUMN_IN_TILE(c);
    const int count = token_count - place;
    const vec_t higher = merge_rows(scratch, c, maximum[c], MERGE_MAXIMUM);
    const vec_t old = maximum[c] == (vec_t)(INFINITY) ? (vec_t)(0.0f) : maximum[c];
    const vec_t step = old - shift_of(higher);
    const vec_t factor = GROUP_ROWS > 1 ? exponential(step) : (vec_t)(1.0f);
    const vec_t all = merge_rows(scratch, c, sum[c] * factor, MERGE_SUM);
    __global float *own = partials + (size_t)split * tokens + first_token + place;
    const bool writes = get_local_id(1) == 0 && count > 0;
    if (writes) {
      write_tokens(own, higher, count);
      write_tokens(own + plane, all, count);
    }
#if TARGETS != TARGETS_TOP
    const vec_t hit = merge_rows(scratch, c, target[c], TARGETS == TARGETS_CLASSES ? MERGE_MAXIMUM : MERGE_SUM);
    if (writes)
      write_tokens(own + 2 * plane, hit, count);
#endif
#if TARGETS == TARGETS_PROBABILITIES
    const vec_t shares = merge_rows(scratch, c, mass[c], MERGE_SUM);
    if (writes)
      write_tokens(own + PLANE_MASS * plane, shares, count);
#endif
#if SMOOTHING
    const vec_t dense = merge_rows(scratch, c, weighted[c], MERGE_SUM);
    if (writes)
      write_tokens(own + PLANE_WEIGHTED * plane, dense, count);
#endif
#if SPREAD
    const vec_t moved = GROUP_ROWS > 1 ? factor * (spread[c] + step * sum[c]) : spread[c];
    const vec_t wide = merge_rows(scratch, c, select(moved, (vec_t)(0.0f), factor == (vec_t)(0.0f)), MERGE_SUM);
    if (writes)
      write_tokens(own + PLANE_SPREAD * plane, wide, count);
#endif
#if ARGMAX
    // Classes below 2^31 stay what they are as the bits of floats, but not as numbers: lanes are compared one by one.
    int_lanes_t lowest;
    lowest.vector = select((ivec_t)(INT_MAX), argmax[c], maximum[c] == higher);
#if GROUP_ROWS > 1
    barrier(CLK_LOCAL_MEM_FENCE);
    __local ivec_t *places = (__local ivec_t *)scratch;
    const int pitch = GROUP_COLUMNS * OWN_VECTORS;
    const int at = get_local_id(0) * OWN_VECTORS + c;
    places[get_local_id(1) * pitch + at] = lowest.vector;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int row = 0; row < GROUP_ROWS; ++row)
      lowest.vector = min(lowest.vector, places[row * pitch + at]);
#endif
    if (writes)
      for (int i = 0; i < min(count, VECTOR); ++i)
        ((__global int *)(own + PLANE_ARGMAX * plane))[i] = lowest.lanes[i];
#endif
  }
}
