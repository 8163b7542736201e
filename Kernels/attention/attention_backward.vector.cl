// Scaled dot-product attention, backward, on CPUs: a work-item is a core, and a tile fits its cache.
//
//   P[i,j]  = exp(s[i,j] - LSE[i])                                       0 where LSE[i] is -inf
//   g[i,j]  = P[i,j] (keep[i,j] sum_c dO[i,c] V[j,c] - delta[i]) ds[i,j] / d(scale q.k)
//   dQ[i,:] = scale sum_j g[i,j] K[j,:]      dK[j,:] = scale sum_i g[i,j] Q[i,:]
//   dV[j,:] = sum_i keep[i,j] P[i,j] dO[i,:]
//
// Everything is computed in one pass, with five products a tile where attention_backward.cl takes seven. Tensors and
// masks are those of that kernel with OWNER_QUERIES 0, so block masks are transposed; parameters of scores have no
// gradients here. Elements become fp32 when they are staged; all arithmetic is fp32.
//
// Work-group (1, 1, 1): one slice of one unit, a batch entry or a sequence, of one key head. It owns the keys of every
// `slices`-th tile of KEY_TILE keys, whose dK and dV it alone writes, and walks over the queries of each query head of
// its key head, QUERY_TILE at a time. It adds to dQ in its slice's own copy, query_parts[slice, b, h, i, :], fp32, zero
// on entry. No atomics, and every sum has one order: equal runs give equal bits.
//
// Vectors of S and dP run along keys, all others along channels, so that K and V alone are transposed, once a tile.
// Each product adds MICRO_ROWS scalars times two vectors at a time to a micro-tile in registers.
//
// Local memory, in floats (see the declarations): K, K^T, V^T, dK and dV, KEY_TILE x D or Dv; Q, dO and dQ, QUERY_TILE
// x D or Dv; P and g, QUERY_TILE x KEY_TILE; two numbers a query.
//
// Tunables: VECTOR (4, 8 or 16), QUERY_TILE, KEY_TILE, MICRO_ROWS.
//
// Preconditions: 2 VECTOR and 32 divide KEY_TILE; MICRO_ROWS divides KEY_TILE and QUERY_TILE; lengths at most 2^30;
// what the mask hides is finite.
//
// Needs: scores.clh
// Needs: vectors.clh
// Check: -D MASK=1 -D SEQUENCES=1 -D SOFTCAP=1 -D DROPOUT=1 -D VECTOR=8
// Check: -D MASK=2 -D HAS_ORDER=1 -D VECTOR=16 -D WORK_GROUP_SIZE=1 -D HEAD_DIM=80

#ifndef QUERY_TILE
#define QUERY_TILE 64
#endif
#ifndef KEY_TILE
#define KEY_TILE 64
#endif
#ifndef MICRO_ROWS
#define MICRO_ROWS 4
#endif

#define HEAD_VECTORS CEIL_DIV(HEAD_DIM, VECTOR)
#define VALUE_VECTORS CEIL_DIV(VALUE_DIM, VECTOR)
#define KEY_VECTORS (KEY_TILE / VECTOR)

// target[m][c] (+)= sum_k left[m * left_row + k * left_step] * right[k][c] for MICRO_ROWS rows m and 1 or 2 vectors c.
INLINE void multiply_micro(const int vectors, __local vec_t *target, const int target_pitch, const bool adds,
                           __local const float *left, const int left_row, const int left_step,
                           __local const vec_t *right, const int right_pitch, const int count)
{
  vec_t sums[MICRO_ROWS][2];
#pragma unroll
  for (int m = 0; m < MICRO_ROWS; ++m)
#pragma unroll
    for (int c = 0; c < 2; ++c)
      sums[m][c] = adds && c < vectors ? target[m * target_pitch + c] : (vec_t)(0.0f);
  for (int k = 0; k < count; ++k) {
    vec_t r[2];
#pragma unroll
    for (int c = 0; c < 2; ++c)
      r[c] = c < vectors ? right[k * right_pitch + c] : (vec_t)(0.0f);
#pragma unroll
    for (int m = 0; m < MICRO_ROWS; ++m) {
      const vec_t scalar = left[m * left_row + k * left_step];
#pragma unroll
      for (int c = 0; c < 2; ++c)
        if (c < vectors)
          sums[m][c] = fma(scalar, r[c], sums[m][c]);
    }
  }
#pragma unroll
  for (int m = 0; m < MICRO_ROWS; ++m)
#pragma unroll
    for (int c = 0; c < 2; ++c)
      if (c < vectors)
        target[m * target_pitch + c] = sums[m][c];
}

// The same for `rows` rows, up to a multiple of MICRO_ROWS, and `vectors` vectors, of which `pitch` are a row's.
INLINE void multiply(__local vec_t *target, const int pitch, const int rows, const int vectors, const bool adds,
                     __local const float *left, const int left_row, const int left_step, __local const vec_t *right,
                     const int count)
{
  for (int c = 0; c + 2 <= vectors; c += 2)
    for (int m = 0; m < rows; m += MICRO_ROWS)
      multiply_micro(2, target + m * pitch + c, pitch, adds, left + m * left_row, left_row, left_step, right + c,
                     pitch, count);
  if (pitch % 2 != 0)
    for (int m = 0; m < rows; m += MICRO_ROWS)
      multiply_micro(1, target + m * pitch + pitch - 1, pitch, adds, left + m * left_row, left_row, left_step,
                     right + pitch - 1, pitch, count);
}

// exp(s - LSE), given that exponent of 2. An LSE that is not that of these scores may be far below them.
static inline vec_t weight_of(const vec_t exponent)
{
  return power_of_two(smaller((vec_t)(127.0f), exponent));
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void tilecl_attention_backward(
    __global const storage_t *query, __global const storage_t *key, __global const storage_t *value,
    __global const storage_t *output_gradient, __global const float *lse, __global const float *delta,
    __global storage_t *key_gradient, __global storage_t *value_gradient, __global float *query_parts,
    const ulong query_offset, const ulong query_batch_stride, const ulong query_head_stride,
    const ulong query_row_stride, const ulong key_offset, const ulong key_batch_stride, const ulong key_head_stride,
    const ulong key_row_stride, const ulong value_offset, const ulong value_batch_stride,
    const ulong value_head_stride, const ulong value_row_stride, const ulong gradient_offset,
    const ulong gradient_batch_stride, const ulong gradient_head_stride, const ulong gradient_row_stride,
    const ulong lse_offset, const int query_length, const int key_length, const int query_heads, const int head_ratio,
    const int slices, const ulong part_rows  // rows of dQ in all
    MASK_PARAMETERS ORDER_PARAMETER SEQUENCE_PARAMETERS SCORE_PARAMETERS)
{
  __local vec_t keys[KEY_TILE * HEAD_VECTORS];               // [key][channel]
  __local vec_t key_columns[HEAD_DIM * KEY_VECTORS];         // [channel][key]
  __local vec_t value_columns[VALUE_DIM * KEY_VECTORS];      // [channel][key]
  __local vec_t key_sums[KEY_TILE * HEAD_VECTORS];           // dK, [key][channel]
  __local vec_t value_sums[KEY_TILE * VALUE_VECTORS];        // dV
  __local vec_t queries[QUERY_TILE * HEAD_VECTORS];          // [query][channel]
  __local vec_t query_sums[QUERY_TILE * HEAD_VECTORS];       // dQ of a step
  __local vec_t gradients[QUERY_TILE * VALUE_VECTORS];       // dO
  __local vec_t weights[QUERY_TILE * KEY_VECTORS];           // [query][key], S, then keep P
  __local vec_t slopes[QUERY_TILE * KEY_VECTORS];            // dP, then g
  __local float row_lse[QUERY_TILE];
  __local float row_delta[QUERY_TILE];

  const int slice = (int)(get_group_id(0) % (ulong)slices);
  const int kv_heads = query_heads / head_ratio;
  const int kv_head = (int)(get_group_id(0) / (ulong)slices % (ulong)kv_heads);
  const int unit = (int)(get_group_id(0) / (ulong)slices / (ulong)kv_heads);
#if SEQUENCES
  const sequence_t sequence = sequence_at(sequences, unit);
  const ulong batch = (ulong)sequence.batch;
  const int query_count = sequence.queries, key_count = sequence.keys;
  const int query_start = sequence.first_query, key_start = sequence.first_key;
  const int stored_keys = sequence.stored_rows;
#else
  const ulong batch = (ulong)unit;
  const int query_count = query_length, key_count = key_length;
  const int query_start = 0, key_start = 0;
  const int stored_keys = key_length;
#endif
#if MASK == MASK_CAUSAL
  const int diagonal = key_count - query_count;  // query i sees keys up to i + diagonal
#endif
#if MASK == MASK_BLOCKS
  // The masks are transposed: their rows are keys.
  const int tiles_per_row = CEIL_DIV(query_block, KEY_TILE);
  const int tile_count = CEIL_DIV(stored_keys, query_block) * tiles_per_row;
  const int words_per_row = CEIL_DIV(query_block, 32);
  const int tiles_per_block = CEIL_DIV(key_block, QUERY_TILE);
#else
  const int tile_count = CEIL_DIV(stored_keys, KEY_TILE);
#endif
  const ulong query_rows = query_offset + batch * query_batch_stride + query_start * query_row_stride;
  const ulong gradient_rows = gradient_offset + batch * gradient_batch_stride + query_start * gradient_row_stride;
  const ulong key_base =
      key_offset + batch * key_batch_stride + key_start * key_row_stride + kv_head * key_head_stride;
  const ulong value_base =
      value_offset + batch * value_batch_stride + key_start * value_row_stride + kv_head * value_head_stride;

  WIDE_VECTORS();
  for (int tile = slice; tile < tile_count; tile += slices) {
    // The keys: rows to store, of which the first `count` are keys of the unit.
#if MASK == MASK_BLOCKS
    const int block_row = tile / tiles_per_row;
    const int key_in_block = tile % tiles_per_row * KEY_TILE;
    const int first_key = block_row * query_block + key_in_block;
    const int stored = min(min(KEY_TILE, query_block - key_in_block), stored_keys - first_key);
    if (stored <= 0)
      continue;
#else
    const int first_key = tile * KEY_TILE;
    const int stored = min(KEY_TILE, stored_keys - first_key);
#endif
    const int count = clamp(key_count - first_key, 0, stored);
    const int key_vectors = CEIL_DIV(count, 2 * VECTOR) * 2;
    stage_vectors(keys, HEAD_VECTORS, 1, key, key_base, key_row_stride, first_key, count, HEAD_DIM ORDER);
    stage_columns((__local float *)key_columns, KEY_TILE, HEAD_DIM, key, key_base, key_row_stride, first_key,
                  count ORDER);
    stage_columns((__local float *)value_columns, KEY_TILE, VALUE_DIM, value, value_base, value_row_stride, first_key,
                  count ORDER);
    for (int i = 0; i < KEY_TILE * HEAD_VECTORS; ++i)
      key_sums[i] = 0.0f;
    for (int i = 0; i < KEY_TILE * VALUE_VECTORS; ++i)
      value_sums[i] = 0.0f;

    for (int member = 0; member < head_ratio; ++member) {
      const int head = kv_head * head_ratio + member;
      const ulong head_number = batch * (ulong)query_heads + head;
      const ulong first_row = head_number * (ulong)query_length + query_start;  // of LSE, delta and dQ
      const ulong query_base = query_rows + head * query_head_stride;
      const ulong gradient_base = gradient_rows + head * gradient_head_stride;
      const score_t score = SCORE_STATE(unit, head, head_number, query_count, key_count);
      __global float *parts = query_parts + (slice * part_rows + first_row) * HEAD_DIM;

#if MASK == MASK_BLOCKS
      const int first_entry = row_offsets[MASK_ROW(batch, head) + block_row];
      const int entries = row_offsets[MASK_ROW(batch, head) + block_row + 1] - first_entry;
      const long steps = (long)entries * tiles_per_block;
#else
      const int begin = MASK == MASK_CAUSAL ? clamp(first_key - (key_count - query_count), 0, query_count) : 0;
      const long steps = count > 0 ? CEIL_DIV(query_count - begin, QUERY_TILE) : 0;
#endif
      for (long step = 0; step < steps; ++step) {
        // The queries of this step: `rows` positions from `first_query` on. A ragged last block may leave it none.
#if MASK == MASK_BLOCKS
        const int entry = first_entry + (int)(step / tiles_per_block);
        const int query_in_block = (int)(step % tiles_per_block) * QUERY_TILE;
        const int first_query = columns[entry] * key_block + query_in_block;
        const int rows = max(min(min(QUERY_TILE, key_block - query_in_block), query_count - first_query), 0);
        const int pattern = patterns[entry];
        __global const uint *pattern_bits =
            pattern_words + ((ulong)max(pattern, 0) * key_block + query_in_block) * words_per_row + key_in_block / 32;
        const bool hides = pattern >= 0 || count < KEY_TILE;
#else
        const int first_query = begin + (int)step * QUERY_TILE;
        const int rows = min(QUERY_TILE, query_count - first_query);
#if MASK == MASK_CAUSAL
        const bool hides = first_key + count - 1 > first_query + diagonal || count < KEY_TILE;
#else
        const bool hides = count < KEY_TILE;
#endif
#endif
        stage_vectors(queries, HEAD_VECTORS, MICRO_ROWS, query, query_base, query_row_stride, first_query, rows,
                      HEAD_DIM ORDER);
        stage_vectors(gradients, VALUE_VECTORS, MICRO_ROWS, output_gradient, gradient_base, gradient_row_stride,
                      first_query, rows, VALUE_DIM ORDER);
        for (int r = 0; r < rows; ++r) {
          const ulong row = first_row + MEMORY_ROW(first_query + r);
          const float x = lse[lse_offset + row];
          // An LSE of +inf, in place of -inf, makes every weight 0.
          row_lse[r] = x == -INFINITY ? INFINITY : x;
          row_delta[r] = delta[row];
        }
        multiply(weights, KEY_VECTORS, rows, key_vectors, false, FLOATS(queries), HEAD_VECTORS * VECTOR, 1,
                 key_columns, HEAD_DIM);
        multiply(slopes, KEY_VECTORS, rows, key_vectors, false, FLOATS(gradients), VALUE_VECTORS * VECTOR, 1,
                 value_columns, VALUE_DIM);

        if (MODIFIED || DROPOUT || hides) {
          for (int r = 0; r < rows; ++r) {
            const ivec_t query_row = MEMORY_ROW(first_query + r) + query_start;
#pragma unroll 1
            for (int v = 0; v < key_vectors; ++v) {
              const int at = r * KEY_VECTORS + v;
              const ivec_t place = (ivec_t)(v * VECTOR) + (ivec_t)LANES;
              const ivec_t key_place = first_key + min(place, (ivec_t)(count - 1));
              const pairs_t pairs = {(ivec_t)(first_query + r), key_place, query_row,
                                     memory_rows(key_place ORDER) + key_start};
              ivec_t visible = place < (ivec_t)(count);
#if MASK == MASK_CAUSAL
              visible &= pairs.key <= pairs.query + diagonal;
#elif MASK == MASK_BLOCKS
              if (pattern >= 0) {
                // A vector never straddles words: VECTOR divides 32, and tiles begin at multiples of 32.
                const uint word = pattern_bits[r * words_per_row + v * VECTOR / 32] >> (v * VECTOR % 32);
                visible &= (((uvec_t)(word) >> (uvec_t)LANES) & 1u) == 1u;
              }
#endif
              const scored_t scored = scored_pairs(weights[at], pairs, visible, &score);
              const vec_t s = select((vec_t)(-INFINITY), scored.score, visible);
              const vec_t weight = weight_of((s - row_lse[r]) * M_LOG2E_F);
              const vec_t keep = dropout_factors(pairs, &score);
              // Where the weight is 0, slopes may be infinite.
              const ivec_t hidden = weight == (vec_t)(0.0f);
              const vec_t gradient = select(weight * (slopes[at] * keep - row_delta[r]), (vec_t)(0.0f), hidden);
              slopes[at] = select(gradient * scored.code_slope * scored.product_slope, (vec_t)(0.0f), hidden);
              weights[at] = weight * keep;
            }
          }
        } else {
          const float factor = score.scale * M_LOG2E_F;
          for (int r = 0; r < rows; ++r) {
            const vec_t shift = row_lse[r] * M_LOG2E_F;
            const vec_t mean = row_delta[r];
            for (int v = 0; v < KEY_VECTORS; ++v) {
              const int at = r * KEY_VECTORS + v;
              const vec_t weight = weight_of(weights[at] * factor - shift);
              slopes[at] = weight * (slopes[at] - mean);
              weights[at] = weight;
            }
          }
        }

        multiply(value_sums, VALUE_VECTORS, count, VALUE_VECTORS, true, FLOATS(weights), 1, KEY_TILE, gradients,
                 rows);
        multiply(key_sums, HEAD_VECTORS, count, HEAD_VECTORS, true, FLOATS(slopes), 1, KEY_TILE, queries, rows);
        multiply(query_sums, HEAD_VECTORS, rows, HEAD_VECTORS, false, FLOATS(slopes), KEY_TILE, 1, keys, count);
        for (int r = 0; r < rows; ++r)
          add_floats(parts, (ulong)MEMORY_ROW(first_query + r) * HEAD_DIM, query_sums + r * HEAD_VECTORS, score.scale,
                     HEAD_DIM);
      }
    }

    const ulong key_row = (batch * (ulong)kv_heads + kv_head) * key_length + key_start;
    // What is stored behind the last key is padding, whose gradients are 0 whatever its products are.
    for (int i = count * HEAD_VECTORS; i < stored * HEAD_VECTORS; ++i)
      key_sums[i] = 0.0f;
    for (int i = count * VALUE_VECTORS; i < stored * VALUE_VECTORS; ++i)
      value_sums[i] = 0.0f;
    for (int r = 0; r < stored; ++r) {
      const ulong row = key_row + MEMORY_ROW(first_key + r);
      store_row(key_gradient, row * HEAD_DIM, key_sums + r * HEAD_VECTORS, scale, HEAD_DIM);
      store_row(value_gradient, row * VALUE_DIM, value_sums + r * VALUE_VECTORS, 1.0f, VALUE_DIM);
    }
  }
}

// dQ[row, :] = sum_z query_parts[z, row, :], rounded; one work-item for each row, in groups of any size.
__kernel void tilecl_attention_query_gradient(
    __global const float *query_parts, const int slices, const ulong rows, __global storage_t *query_gradient)
{
  const ulong row = get_global_id(0);
  if (row >= rows)
    return;
  for (int c = 0; c < HEAD_DIM; ++c) {
    float sum = 0.0f;
    for (int slice = 0; slice < slices; ++slice)
      sum += query_parts[(slice * rows + row) * HEAD_DIM + c];
    store_storage(query_gradient, row * HEAD_DIM + c, sum);
  }
}
