// Linear cross-entropy, backward: gradients of logits tile by tile, and their products with classifier and embeddings.
//
//   g[n, v]  = p A[n] - p D[n] (log p + H[n]) - S[n] w[v] - Q[n] w[v] q[n, v]           p = exp(z - LSE)
//   g[n, y]  = R[n]     for the class target y, whose p - 1 the forward pass knows without losing digits
//   x[n, v]  = (1 - (z / softcap)^2) g[n, v]
//   dC[v, :] = scale sum_n x[n, v] E[n, :]       dE[n, :] = scale sum_v x[n, v] C[v, :]       db[v] = scale sum_n x[n,
//   v]
//
// A, R, S, Q, D, H and LSE are planes of `coefficients`, [plane][N] (linear_cross_entropy_gradient_steps.cl makes
// them); S[n] w[v] is left out unless DENSE: without a softcap its share has a closed form, which is added at the end.
//
// Columns, classes in the order of their mean logit, are cut into tiles of TILE_ROWS, tokens into tiles of
// TILE_COLUMNS. live[column tile][token tile] says what a tile of x is wanted for: bit 0 dE, bit 1 dC, bit 2 the bias
// or an audit. The host takes as many column tiles at a time, a *wave*, as fit the workspace, and runs, in this order,
//
//   tilecl_linear_cross_entropy_gradient_tiles        groups (token tiles, column tiles of the wave)
//       computes x where live is not 0, clears the bits `filter` if every |x| is below the token's threshold, and
//       writes tiles[wave tile][token tile][row][column], fp32, if a product wants it. Products of the first
//       kept_columns columns are read, from kept_products[column][n], where the forward pass has left them. With PAIRED
//       a tile is of bf16 and stands there twice, as each product takes its pairs: [row][column], and behind it pairs
//       of rows, [row / 2][column].
//   tilecl_linear_cross_entropy_classifier_gradient   groups (blocks of D, column tiles of the wave)
//       owns TILE_ROWS x TILE_COLUMNS elements of dC, sums over live token tiles in order and stores each once.
//   tilecl_linear_cross_entropy_embedding_gradient    groups (blocks of D, ceil(token tiles / EMBEDDING_TILES))
//       adds the wave's live column tiles, in order, to embedding_sums[n][d], fp32.
//
// No atomics, and every sum has one order that neither waves nor groups change: equal runs give equal bits.
//
// With LOGITS the first kernel writes the logits themselves, for the classes with the largest.
//
// Work-group: GROUP_COLUMNS x GROUP_ROWS work-items. Local memory, in floats: LOCAL_FLOATS + GROUP_COLUMNS * TILE_ROWS
// for the first kernel, LOCAL_FLOATS for the others.
//
// Preconditions: as linear_cross_entropy.cl; TILE_COLUMNS <= TILE_ROWS, and MICRO_ROWS divides TILE_COLUMNS.
//
// Needs: tiles.clh
// Check: -D HAS_BIAS=1 -D SOFTCAP=1 -D HAS_ORDER=1 -D DENSE=1 -D HAS_WEIGHTS=1 -D ENTROPY=1 -D AUDIT=1
// Check: -D TARGETS=1 -D QUANTIZED=4 -D VECTOR=8 -D HAS_WEIGHTS=1 -D SMOOTHING=1 -D EMBEDDING_TILES=4
// Check: -D TARGETS=2 -D QUANTIZED=8 -D SYMMETRIC=0 -D VECTOR=16 -D HAS_ORDER=1
// Check: -D LOGITS=1 -D SOFTCAP=1
// Check: -D GROUP_ITEMS=64 -D GROUP_ROWS=8 -D GROUP_COLUMNS=8 -D MICRO_ROWS=8 -D HAS_BIAS=1 -D AUDIT=1 -D SMOOTHING=1

#ifndef LOGITS
#define LOGITS 0
#endif
#ifndef DENSE
#define DENSE 0
#endif
#ifndef ENTROPY
#define ENTROPY 0
#endif
#ifndef AUDIT
#define AUDIT 0
#endif
#ifndef EMBEDDING_TILES
#define EMBEDDING_TILES 1
#endif

#define LIVE_EMBEDDINGS 1u
#define LIVE_CLASSIFIER 2u
#define LIVE_OTHER 4u

#define COEFFICIENT_A 0
#define COEFFICIENT_R 1
#define COEFFICIENT_S 2
#define COEFFICIENT_Q 3
#define COEFFICIENT_D 4
#define COEFFICIENT_H 5
#define COEFFICIENT_LSE 6
#define COEFFICIENT_LOW 7
#define COEFFICIENT_THRESHOLD 8

// A vector of tokens' numbers; `other` behind the last token.
INLINE vec_t read_coefficients(__global const float *source, const int count, const float other)
{
  if (count >= VECTOR)
    return LOAD(0, source);
  float_lanes_t lanes;
  for (int i = 0; i < VECTOR; ++i)
    lanes.lanes[i] = i < count ? source[i] : other;
  return lanes.vector;
}

INLINE float lane_sum(const vec_t x)
{
  float_lanes_t lanes;
  lanes.vector = x;
  float sum = 0.0f;
  for (int i = 0; i < VECTOR; ++i)
    sum += lanes.lanes[i];
  return sum;
}

INLINE float lane_maximum(const vec_t x)
{
  float_lanes_t lanes;
  lanes.vector = x;
  float top = 0.0f;
  for (int i = 0; i < VECTOR; ++i)
    top = lanes.lanes[i] <= top ? top : lanes.lanes[i];  // a NaN stays
  return top;
}

#if PAIRED
// The lower halves of words.
INLINE void store_halves(const uvec_t words, __global ushort *target)
{
  ((__global loose_ushorts_t *)target)->elements = PASTE(convert_ushort, VECTOR)(words & 0xffffu);
}
#endif

// targets: the class of each token, or -1; rows of probabilities, or -1; with TARGETS_TOP the columns of the entries,
// [n][entries], or -1, with target_values[n][entries] = -Q w q.
// bias_parts[wave tile][token tile][row]: the tile's share of db / scale, if live has bit 2 and HAS_BIAS.
// audit[column tile][token tile], with AUDIT: the largest |x| of a tile whose bits the filter cleared, else 0.
__kernel __attribute__((reqd_work_group_size(GROUP_COLUMNS, GROUP_ROWS, 1)))
void tilecl_linear_cross_entropy_gradient_tiles(
    __global const storage_t *embeddings, ulong embedding_offset, ulong embedding_stride, CLASSIFIER_PARAMETERS,
    __global const storage_t *biases, ulong bias_offset, __global const float *weights, ulong weight_offset,
    __global const int *targets, __global const float *target_values, uint entries,
    __global const storage_t *probabilities, ulong probability_offset, ulong probability_stride, uint tokens,
    uint vocabulary, uint hidden_size, float scale, float softcap, __global const float *coefficients, uint first_tile,
    uint filter, __global uint *live, __global float *tiles, __global float *bias_parts, __global float *audit,
    __global const float *kept_products, uint kept_columns)
{
  WIDE_VECTORS();
  MEMORY(GROUP_COLUMNS * TILE_ROWS);
  SUMS(sums, 1);
  const classifier_t classifier = CLASSIFIER;
  const logits_t logits = {scale, softcap, 1.0f / softcap};
  embeddings += embedding_offset;

  const uint token_tile = get_group_id(0), token_tiles = get_num_groups(0);
  const uint column_tile = first_tile + get_group_id(1);
  const uint column = column_tile * TILE_ROWS;
  const uint first_token = token_tile * TILE_COLUMNS;
  const size_t slot = (size_t)get_group_id(1) * token_tiles + token_tile;
#if LOGITS
  const bool is_wanted = true;
#else
  const size_t live_at = (size_t)column_tile * token_tiles + token_tile;
  const uint wanted = live[live_at];
  const bool is_wanted = wanted != 0;
#endif
  const bool is_kept = column < kept_columns;
  // Nothing to do is loops without a round, since all items reach every barrier.
  multiply_logits(sums, RIGHT_TILE, LEFT_TILE, embeddings, embedding_stride, classifier, first_token, tokens, column,
                  vocabulary, is_wanted && !is_kept ? hidden_size : 0, false);

  const int token_count = (int)min((uint)TILE_COLUMNS, tokens - first_token);
  const int vectors = GROUP_ITEMS > 1 ? OWN_VECTORS : CEIL_DIV(token_count, VECTOR);
  const int tile_rows = is_wanted ? (int)min((uint)TILE_ROWS, vocabulary - column) : 0;
  const int rows = min(tile_rows - ROW_IN_TILE(0), OWN_ROWS);
  for (int r = 0; r < (is_kept ? rows : 0); ++r)
    for (int c = 0; c < vectors; ++c) {
      const int place = COLUMN_IN_TILE(c);
      sums[r * OWN_VECTORS + c] = read_coefficients(
          kept_products + (size_t)(column + ROW_IN_TILE(r)) * tokens + first_token + place, token_count - place, 0.0f);
    }
#if !LOGITS
  ivec_t exceeds = 0;
#if AUDIT
  vec_t largest = 0.0f;
#endif
#endif
  for (int c = 0; c < vectors; ++c) {
#if !LOGITS
    const int place = COLUMN_IN_TILE(c);
    const int count = token_count - place;
    __global const float *own = coefficients + first_token + place;
    // Behind the last token p is 0, and so is everything that it meets.
    const vec_t of_p = read_coefficients(own + (size_t)COEFFICIENT_A * tokens, count, 0.0f);
    const vec_t lse = read_coefficients(own + (size_t)COEFFICIENT_LSE * tokens, count, INFINITY);
    const vec_t low = read_coefficients(own + (size_t)COEFFICIENT_LOW * tokens, count, 0.0f);
    const vec_t threshold = read_coefficients(own + (size_t)COEFFICIENT_THRESHOLD * tokens, count, INFINITY);
#if TARGETS == TARGETS_CLASSES
    const vec_t at_target = read_coefficients(own + (size_t)COEFFICIENT_R * tokens, count, 0.0f);
#endif
#if DENSE
    const vec_t dense = read_coefficients(own + (size_t)COEFFICIENT_S * tokens, count, 0.0f);
#endif
#if TARGETS == TARGETS_PROBABILITIES
    const vec_t of_target = read_coefficients(own + (size_t)COEFFICIENT_Q * tokens, count, 0.0f);
#endif
#if ENTROPY
    const vec_t of_entropy = read_coefficients(own + (size_t)COEFFICIENT_D * tokens, count, 0.0f);
    const vec_t entropy = read_coefficients(own + (size_t)COEFFICIENT_H * tokens, count, 0.0f);
#endif
#if TARGETS == TARGETS_TOP
    // Rows of this item at which some lane has an entry.
    uint hits[CEIL_DIV(OWN_ROWS, 32)] = {0};
    for (int i = 0; i < min(count, VECTOR); ++i)
      for (uint e = 0; e < entries; ++e) {
        const int at = targets[(size_t)(first_token + place + i) * entries + e];
        const uint row = (uint)(at - (int)column - ROW_IN_TILE(0));
        if (at >= 0 && row < OWN_ROWS)
          hits[row / 32] |= 1u << row % 32;
      }
#else
    int_lanes_t sought;
    for (int i = 0; i < VECTOR; ++i)
      sought.lanes[i] = i < count ? targets[first_token + place + i] : -1;
#endif
#endif
    for (int r = 0; r < rows; ++r) {
#if HAS_BIAS || !LOGITS && (DENSE || TARGETS != TARGETS_TOP)
      const int index = class_at(classifier, column + ROW_IN_TILE(r));
#endif
#if HAS_BIAS
      const float bias = load_storage(biases, bias_offset + index);
#else
      const float bias = 0.0f;
#endif
      const vec_t z = logit_of(sums[r * OWN_VECTORS + c], bias, logits);
#if LOGITS
      sums[r * OWN_VECTORS + c] = z;
#else
#if DENSE || TARGETS == TARGETS_PROBABILITIES
      const float weight = HAS_WEIGHTS ? weights[weight_offset + index] : 1.0f;
#endif
      const vec_t log_p = (z - lse) - low;
      const vec_t p = exponential(log_p);
      vec_t g = p * of_p;
#if TARGETS == TARGETS_CLASSES
      const ivec_t hit = sought.vector == (ivec_t)(index);
      if (any(hit))
        g = select(g, at_target, hit);
#endif
#if ENTROPY
      // Where p is 0, so is the limit of p log p.
      g -= select(p * of_entropy * (log_p + entropy), (vec_t)(0.0f), p == (vec_t)(0.0f));
#endif
#if DENSE
      g -= dense * weight;
#endif
#if TARGETS == TARGETS_PROBABILITIES
      float_lanes_t q;
      for (int i = 0; i < VECTOR; ++i)
        q.lanes[i] = sought.lanes[i] < 0 ? 0.0f
                                         : load_storage(probabilities, probability_offset + index +
                                                                           sought.lanes[i] * probability_stride);
      g -= of_target * (weight * q.vector);
#elif TARGETS == TARGETS_TOP
      if (hits[r / 32] >> r % 32 & 1u) {
        float_lanes_t more;
        more.vector = g;
        for (int i = 0; i < min(count, VECTOR); ++i)
          for (uint e = 0; e < entries; ++e) {
            const size_t at = (size_t)(first_token + place + i) * entries + e;
            if (targets[at] == (int)column + ROW_IN_TILE(r))
              more.lanes[i] += target_values[at];
          }
        g = more.vector;
      }
#endif
      g *= slope_of(z, logits);
      sums[r * OWN_VECTORS + c] = g;
      // Not "at least", so that a NaN is kept.
      exceeds |= ~(fabs(g) < threshold);
#if AUDIT
      largest = fabs(g) <= largest ? largest : fabs(g);
#endif
#endif
    }
  }

#if !LOGITS
#if GROUP_ITEMS > 1 || HAS_BIAS
  __local float *scratch = (__local float *)(memory + LOCAL_FLOATS / VECTOR);
#endif
  bool keeps = any(exceeds);
#if AUDIT
  float item_largest = lane_maximum(largest);
#endif
#if GROUP_ITEMS > 1
  __local int *votes = (__local int *)scratch;
  barrier(CLK_LOCAL_MEM_FENCE);
  votes[ITEM] = keeps;
  // Global memory too: every item has read what the first is about to change.
  barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
  for (int i = 0; i < GROUP_ITEMS; ++i)
    keeps |= votes[i] != 0;
  barrier(CLK_LOCAL_MEM_FENCE);
#if AUDIT
  scratch[ITEM] = item_largest;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int i = 0; i < GROUP_ITEMS; ++i)
    item_largest = scratch[i] <= item_largest ? item_largest : scratch[i];
  barrier(CLK_LOCAL_MEM_FENCE);
#endif
#endif
  const uint kept = keeps ? wanted : wanted & ~filter;
  if (ITEM == 0) {
    live[live_at] = kept;
#if AUDIT
    audit[live_at] = keeps ? 0.0f : item_largest;
#endif
  }
#if HAS_BIAS
  for (int r = 0; r < OWN_ROWS; ++r) {
    vec_t sum = 0.0f;
    if (r < rows)
      for (int c = 0; c < vectors; ++c)
        sum += sums[r * OWN_VECTORS + c];
    scratch[get_local_id(0) * TILE_ROWS + ROW_IN_TILE(r)] = lane_sum(sum);
  }
  BARRIER();
  for (int r = ITEM; r < ((wanted & LIVE_OTHER) ? TILE_ROWS : 0); r += GROUP_ITEMS) {
    float sum = 0.0f;
    for (int i = 0; i < GROUP_COLUMNS; ++i)
      sum += scratch[i * TILE_ROWS + r];
    bias_parts[slot * TILE_ROWS + r] = sum;
  }
#endif
  if (!AUDIT && (kept & (LIVE_EMBEDDINGS | LIVE_CLASSIFIER)) == 0)
    return;
#endif
  __global float *tile = tiles + slot * (TILE_ROWS * TILE_COLUMNS);
#if PAIRED && !LOGITS
  for (int r = 0; r < rows; r += 2)
    for (int c = 0; c < vectors; ++c) {
      const int place = COLUMN_IN_TILE(c);
      // What is behind the last token or class may meet a zero, which must not make a NaN of it.
      const ivec_t is_token = LANES < (ivec_t)(token_count - place);
      const vec_t zero = 0.0f;
      const vec_t low = select(zero, sums[r * OWN_VECTORS + c], is_token);
      const vec_t high = r + 1 < rows ? select(zero, sums[(r + 1) * OWN_VECTORS + c], is_token) : zero;
      const uvec_t pairs = bfloat16_pairs(low, high);
      store_halves(pairs, (__global ushort *)tile + r * TILE_COLUMNS + place);
      store_halves(pairs >> 16, (__global ushort *)tile + (r + 1) * TILE_COLUMNS + place);
      STORE(AS_FLOATS(pairs), 0, tile + (TILE_ROWS + r) * (TILE_COLUMNS / 2) + place);
    }
#else
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < vectors; ++c)
      STORE(sums[r * OWN_VECTORS + c], 0, tile + ROW_IN_TILE(r) * TILE_COLUMNS + COLUMN_IN_TILE(c));
#endif
}

#if !LOGITS

// Where rows and steps of k of a tile stand as the left operand of dC and of dE.
#define CLASSES_ROW_STEP (TILE_COLUMNS / STEP)
#define TOKENS_TILE(tile) ((tile) + (PAIRED ? TILE_ROWS * TILE_COLUMNS / 2 : 0))

// sums (+)= left right, where left[r][k] = tile[r * row_step + k * k_step], for `count` steps of k that the right tile
// holds.
INLINE void multiply_tile(sums_t *sums, __local const vec_t *right, __local float *left, __global const float *tile,
                          const int row_step, const int k_step, const int rows, const int columns, const int count)
{
#if GROUP_ITEMS > 1
  for (int i = ITEM; i < TILE_ROWS * DEPTH; i += GROUP_ITEMS) {
    // Neighbouring items read neighbouring elements.
    const int k = k_step == 1 ? i % DEPTH : i / TILE_ROWS, r = k_step == 1 ? i / DEPTH : i % TILE_ROWS;
    left[r * LEFT_STRIDE + k] = k < count && r < rows ? tile[r * row_step + k * k_step] : 0.0f;
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  multiply_local(sums, OWN_VECTORS, true, left + ROW_IN_TILE(0) * LEFT_STRIDE, LEFT_STRIDE, 1, right + get_local_id(0),
                 RIGHT(0, 1, 0), RIGHT(0, 0, 1), count);
  barrier(CLK_LOCAL_MEM_FENCE);
#else
  for (int p = 0; p < STEPS_OF_COLUMNS(columns); ++p)
    for (int s = 0; s < STEPS_OF_ROWS(rows); ++s)
      multiply_global(sums + s * MICRO_ROWS * OWN_VECTORS + p * MICRO_VECTORS, OWN_VECTORS, true,
                      tile + s * MICRO_ROWS * row_step, row_step, k_step, right + RIGHT(p, 0, 0), MICRO_VECTORS, 1,
                      count);
#endif
}

// dC[v, d] = scale sum_n x[n, v] E[n, d] - w[v] smoothing[d], smoothing[d] = scale sum_n S[n] E[n, d] if SMOOTHING.
__kernel __attribute__((reqd_work_group_size(GROUP_COLUMNS, GROUP_ROWS, 1)))
void tilecl_linear_cross_entropy_classifier_gradient(
    __global const storage_t *embeddings, ulong embedding_offset, ulong embedding_stride, __global const int *order,
    __global const float *weights, ulong weight_offset, __global const float *smoothing, uint tokens, uint vocabulary,
    uint hidden_size, float scale, uint first_tile, uint token_tiles, __global const uint *live,
    __global const float *tiles, __global storage_t *classifier_gradient)
{
  WIDE_VECTORS();
  MEMORY(0);
  SUMS(sums, 1);
  embeddings += embedding_offset;
  const uint block = get_group_id(0) * TILE_COLUMNS;
  const uint column_tile = first_tile + get_group_id(1);
  const uint column = column_tile * TILE_ROWS;
  const int rows = (int)min((uint)TILE_ROWS, vocabulary - column);
  const int columns = (int)min((uint)TILE_COLUMNS, hidden_size - block);
  for (int i = 0; i < OWN_ROWS * OWN_VECTORS; ++i)
    sums[i] = 0.0f;

  for (uint token_tile = 0; token_tile < token_tiles; ++token_tile) {
    const bool is_live = (live[(size_t)column_tile * token_tiles + token_tile] & LIVE_CLASSIFIER) != 0;
    const uint first_token = token_tile * TILE_COLUMNS;
    const int count = is_live ? (int)min((uint)TILE_COLUMNS, tokens - first_token) : 0;
    __global const float *tile =
        tiles + ((size_t)get_group_id(1) * token_tiles + token_tile) * (TILE_ROWS * TILE_COLUMNS);
    for (int k = 0; k < count; k += DEPTH * STEP) {
      const int depths = min(DEPTH * STEP, count - k);
      pack_right_rows(RIGHT_TILE, embeddings, embedding_stride, first_token + k, depths, block, hidden_size, ITEM);
      multiply_tile(sums, RIGHT_TILE, LEFT_TILE, tile + k / STEP, CLASSES_ROW_STEP, 1, rows, columns, STEPS(depths));
    }
  }

  for (int r = 0; r < min(rows - ROW_IN_TILE(0), OWN_ROWS); ++r) {
#if HAS_ORDER
    const int index = order[column + ROW_IN_TILE(r)];
#else
    const int index = (int)column + ROW_IN_TILE(r);
#endif
    const size_t to = (size_t)index * hidden_size + block;
    for (int c = 0; c < OWN_VECTORS; ++c) {
      const int place = COLUMN_IN_TILE(c);
      float_lanes_t x;
      x.vector = scale * sums[r * OWN_VECTORS + c];
      for (int i = 0; i < min(columns - place, VECTOR); ++i) {
#if SMOOTHING
        x.lanes[i] -= (HAS_WEIGHTS ? weights[weight_offset + index] : 1.0f) * smoothing[block + place + i];
#endif
        store_storage(classifier_gradient, to + place + i, x.lanes[i]);
      }
    }
  }
}

// embedding_sums[n][d] += sum_v x[n, v] C[v, d] over the wave's column tiles. A group takes EMBEDDING_TILES token
// tiles, for which it reads the classifier once.
__kernel __attribute__((reqd_work_group_size(GROUP_COLUMNS, GROUP_ROWS, 1)))
void tilecl_linear_cross_entropy_embedding_gradient(
    CLASSIFIER_PARAMETERS, uint tokens, uint vocabulary, uint hidden_size, uint first_tile, uint tile_count,
    uint token_tiles, __global const uint *live, __global const float *tiles, __global float *embedding_sums)
{
  WIDE_VECTORS();
  MEMORY((EMBEDDING_TILES - 1) * SUM_FLOATS);
  SUMS(sums, EMBEDDING_TILES);
  const classifier_t classifier = CLASSIFIER;
  const uint block = get_group_id(0) * TILE_COLUMNS;
  const uint first_token_tile = get_group_id(1) * EMBEDDING_TILES;
  const uint own_tiles = min((uint)EMBEDDING_TILES, token_tiles - first_token_tile);
  const int columns = (int)min((uint)TILE_COLUMNS, hidden_size - block);

  uint loaded = 0;  // a bit for each token tile
  for (uint t = 0; t < tile_count; ++t) {
    uint wanted = 0;
    for (uint i = 0; i < own_tiles; ++i)
      if (live[(size_t)(first_tile + t) * token_tiles + first_token_tile + i] & LIVE_EMBEDDINGS)
        wanted |= 1u << i;
    const uint column = (first_tile + t) * TILE_ROWS;
    const int count = wanted == 0 ? 0 : (int)min((uint)TILE_ROWS, vocabulary - column);
    for (int k = 0; k < count; k += DEPTH * STEP) {
      const int depths = min(DEPTH * STEP, count - k);
      pack_right_classes(RIGHT_TILE, classifier, column + k, depths, block, hidden_size, ITEM);
      for (uint i = 0; i < own_tiles; ++i) {
        sums_t *own = sums + i * OWN_ROWS * OWN_VECTORS;
        const uint first_token = (first_token_tile + i) * TILE_COLUMNS;
        const int rows = (int)min((uint)TILE_COLUMNS, tokens - first_token);
        if ((wanted & ~loaded) >> i & 1u) {
          for (int at = 0; at < OWN_ROWS * OWN_VECTORS; ++at)
            own[at] = 0.0f;
          for (int r = 0; r < min(rows - ROW_IN_TILE(0), OWN_ROWS); ++r)
            for (int c = 0; c < OWN_VECTORS; ++c)
              own[r * OWN_VECTORS + c] = read_coefficients(
                  embedding_sums + (size_t)(first_token + ROW_IN_TILE(r)) * hidden_size + block + COLUMN_IN_TILE(c),
                  columns - COLUMN_IN_TILE(c), 0.0f);
          loaded |= 1u << i;
        }
        __global const float *tile =
            tiles + ((size_t)t * token_tiles + first_token_tile + i) * (TILE_ROWS * TILE_COLUMNS);
        // Each token tile asks for its share of the classes that are packed next.
        const uint share = CEIL_DIV(TILE_ROWS, EMBEDDING_TILES);
        for (uint r = i * share; t + 1 < tile_count && r < min((i + 1) * share, (uint)TILE_ROWS); ++r)
          prefetch_class(classifier, min(column + TILE_ROWS + r, vocabulary - 1), block, columns);
        // A group of several items has one token tile, which is wanted if there is a round.
        if (EMBEDDING_TILES == 1 || wanted >> i & 1u)
          multiply_tile(own, RIGHT_TILE, LEFT_TILE, TOKENS_TILE(tile) + k / STEP * TILE_COLUMNS, 1, TILE_COLUMNS, rows,
                        columns, STEPS(depths));
      }
    }
  }
  for (uint i = 0; i < own_tiles; ++i) {
    if ((loaded >> i & 1u) == 0)
      continue;
    const uint first_token = (first_token_tile + i) * TILE_COLUMNS;
    const int rows = (int)min((uint)TILE_COLUMNS, tokens - first_token);
    for (int r = 0; r < min(rows - ROW_IN_TILE(0), OWN_ROWS); ++r)
      for (int c = 0; c < OWN_VECTORS; ++c) {
        const int place = COLUMN_IN_TILE(c);
        __global float *to = embedding_sums + (size_t)(first_token + ROW_IN_TILE(r)) * hidden_size + block + place;
        float_lanes_t x;
        x.vector = sums[(i * OWN_ROWS + r) * OWN_VECTORS + c];
        if (place + VECTOR <= columns)
          STORE(x.vector, 0, to);
        else
          for (int lane = 0; lane < columns - place; ++lane)
            to[lane] = x.lanes[lane];
      }
  }
}

#endif
