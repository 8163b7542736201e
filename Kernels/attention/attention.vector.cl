// Attention, forward, on CPUs: a work-item is a core, and a tile fits its cache.
//
//   O[i,:] = sum_j keep[i,j] exp(s[i,j] - LSE[i]) V[j,:]      LSE[i] = ln(sum_j exp(s[i,j]) + exp(sink))
//
// Scores, masks, layouts, arguments and results are those of attention.cl, and so is the walk over tiles of keys with a
// running maximum and sum for each query. What differs is how a tile is computed. Elements become fp32 when they are
// staged; all arithmetic is fp32. Weights are powers of 2: scores are kept times log2(e).
//
// Work-group (1, 1, 1): QUERY_TILE queries of one head, with groups in the order of attention.cl.
//
// Vectors of scores run across queries, a *pair* of them at a time: MICRO_KEYS keys, read as scalars, times PAIR
// vectors of queries make a micro-tile of sums that stays in registers over all channels. Vectors of outputs run across
// channels: MICRO_QUERIES weights, read as scalars, times CHANNELS vectors of V. So V and O keep their layout, and only
// the queries are transposed, once. Tiles whose pairs are all visible take no step for the mask.
//
// Local memory, in floats (see the declarations): Q^T, D x QUERY_TILE; a tile of K and one of V; scores, KEY_TILE x
// QUERY_TILE; outputs, QUERY_TILE x Dv; three numbers a query.
//
// Tunables: VECTOR (4, 8 or 16), QUERY_TILE, KEY_TILE, MICRO_KEYS, MICRO_QUERIES.
//
// Preconditions: PAIR * VECTOR divides QUERY_TILE; MICRO_KEYS divides KEY_TILE; MICRO_QUERIES divides VECTOR; else as
// in attention.cl.
//
// Needs: scores.clh
// Needs: tiles.clh
// Needs: vectors.clh
// Needs: walk.clh
// Check: -D MASK=1 -D SEQUENCES=1 -D SOFTCAP=1 -D ALIBI=1 -D DROPOUT=1 -D SINKS=1 -D VECTOR=8
// Check: -D MASK=2 -D HAS_ORDER=1 -D BIAS=1 -D RELATIVE=1 -D DROPOUT=1 -D VECTOR=16 -D WORK_GROUP_SIZE=1

#ifndef MICRO_QUERIES
#define MICRO_QUERIES 4
#endif

#define CHANNELS 2  // vectors of channels of a micro-tile of outputs
#define VALUE_VECTORS CEIL_DIV(VALUE_DIM, VECTOR)
#define HEAD_VECTORS CEIL_DIV(HEAD_DIM, VECTOR)

// Scores of `vectors` row vectors of a pair against MICRO_KEYS keys; their maxima if they are final.
INLINE void multiply_keys(const int vectors, __local vec_t *scores, vec_t maxima[PAIR], __local const vec_t *queries,
                          __local const float *keys, const float scale)
{
  vec_t sums[MICRO_KEYS][PAIR];
#pragma unroll
  for (int j = 0; j < MICRO_KEYS; ++j)
#pragma unroll
    for (int r = 0; r < PAIR; ++r)
      sums[j][r] = 0.0f;
  for (int d = 0; d < HEAD_DIM; ++d) {
    vec_t q[PAIR];
#pragma unroll
    for (int r = 0; r < PAIR; ++r)
      q[r] = r < vectors ? queries[d * PAIR + r] : (vec_t)(0.0f);
#pragma unroll
    for (int j = 0; j < MICRO_KEYS; ++j) {
      const vec_t k = keys[j * HEAD_VECTORS * VECTOR + d];
#pragma unroll
      for (int r = 0; r < PAIR; ++r)
        if (r < vectors)
          sums[j][r] = fma(q[r], k, sums[j][r]);
    }
  }
#pragma unroll
  for (int j = 0; j < MICRO_KEYS; ++j)
#pragma unroll
    for (int r = 0; r < PAIR; ++r) {
      if (r >= vectors)
        continue;
      const vec_t s = MODIFIED ? sums[j][r] : sums[j][r] * scale;
      scores[j * PAIR + r] = s;
      maxima[r] = larger(s, maxima[r]);
    }
}

// One pair of a step: its scores, their maxima, and the weights in place of the scores.
INLINE void compute_pair(const int vectors, const int pair, __local vec_t *scores, __local const vec_t *queries,
                         __local const float *keys, __local vec_t *row_max, __local vec_t *row_scale,
                         __local vec_t *row_sum, const tile_t *tile, const step_t *step,
                         const score_t *score ORDER_PARAMETER)
{
  bool hides;
  const int pair_keys = keys_of_pair(pair, tile, step, &hides);
  __local vec_t *pair_scores = scores + pair * KEY_TILE * PAIR;
  vec_t maxima[PAIR];
  if (pair_keys == 0)
    return;
#pragma unroll
  for (int r = 0; r < PAIR; ++r)
    maxima[r] = -INFINITY;
  for (int j = 0; j < pair_keys; j += MICRO_KEYS)
    multiply_keys(vectors, pair_scores + j * PAIR, maxima, queries + pair * HEAD_DIM * PAIR,
                  keys + j * HEAD_VECTORS * VECTOR, score->scale * M_LOG2E_F);
  // The last micro-tile may hold products with no key.
  if (MODIFIED || hides || pair_keys % MICRO_KEYS != 0)
    modify_pair(vectors, pair, pair_scores, maxima, pair_keys, 1.0f, tile, step, score ORDER);
  weigh_pair(vectors, pair, pair_scores, maxima, pair_keys, 1.0f, row_max, row_scale, row_sum, tile, step,
             score ORDER);
}

// Adds the weights of MICRO_QUERIES queries times `vectors` vectors of V to outputs, which shrink first.
INLINE void multiply_values(const int vectors, __local vec_t *outputs, __local const float *weights,
                            __local const vec_t *values, __local const float *shrink, const int keys)
{
  vec_t sums[MICRO_QUERIES][CHANNELS];
#pragma unroll
  for (int i = 0; i < MICRO_QUERIES; ++i)
#pragma unroll
    for (int c = 0; c < vectors; ++c)
      sums[i][c] = outputs[i * VALUE_VECTORS + c] * shrink[i];
  for (int j = 0; j < keys; ++j) {
    vec_t v[CHANNELS];
#pragma unroll
    for (int c = 0; c < vectors; ++c)
      v[c] = values[j * VALUE_VECTORS + c];
#pragma unroll
    for (int i = 0; i < MICRO_QUERIES; ++i) {
      const vec_t weight = weights[j * PAIR_ROWS + i];
#pragma unroll
      for (int c = 0; c < vectors; ++c)
        sums[i][c] = fma(weight, v[c], sums[i][c]);
    }
  }
#pragma unroll
  for (int i = 0; i < MICRO_QUERIES; ++i)
#pragma unroll
    for (int c = 0; c < vectors; ++c)
      outputs[i * VALUE_VECTORS + c] = sums[i][c];
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void tilecl_attention_forward(
    __global const storage_t *query, __global const storage_t *key, __global const storage_t *value,
    __global storage_t *output, __global float *lse, __global float *parts,
    const ulong query_offset, const ulong query_batch_stride, const ulong query_head_stride,
    const ulong query_row_stride, const ulong key_offset, const ulong key_batch_stride, const ulong key_head_stride,
    const ulong key_row_stride, const ulong value_offset, const ulong value_batch_stride,
    const ulong value_head_stride, const ulong value_row_stride, const ulong output_offset,
    const ulong output_batch_stride, const ulong output_head_stride, const ulong output_row_stride,
    const int query_length, const int key_length, const int query_heads, const int head_ratio, const int query_tiles,
    const int splits, const ulong part_rows  // rows of O in all
    MASK_PARAMETERS ORDER_PARAMETER SEQUENCE_PARAMETERS SCORE_PARAMETERS SINK_PARAMETERS)
{
  __local vec_t queries[PAIRS * HEAD_DIM * PAIR];        // [pair][channel][row vector]
  __local vec_t keys[KEY_TILE * HEAD_VECTORS];           // [key][channel]
  __local vec_t values[KEY_TILE * VALUE_VECTORS];        // [key][channel]
  __local vec_t scores[PAIRS * KEY_TILE * PAIR];         // [pair][key][row vector], later weights
  __local vec_t outputs[QUERY_TILE * VALUE_VECTORS];     // [query][channel]
  __local vec_t row_max[ROW_VECTORS];
  __local vec_t row_scale[ROW_VECTORS];  // what old sums shrink by
  __local vec_t row_sum[ROW_VECTORS];

  work_t work;
  find_work(&work, query_length, key_length, query_heads, query_tiles, splits MASK_ARGUMENTS SEQUENCE_ARGUMENTS);
  const tile_t tile = work.tile;
  const ulong kv_head = work.head / (ulong)head_ratio;
  const ulong query_base = query_offset + work.batch * query_batch_stride + work.head * query_head_stride;
  const ulong key_base = key_offset + work.batch * key_batch_stride + kv_head * key_head_stride;
  const ulong value_base = value_offset + work.batch * value_batch_stride + kv_head * value_head_stride;
  const score_t score = SCORE_STATE(work.number, work.head, work.head_number, work.queries, work.keys);

  WIDE_VECTORS();
  for (int pair = 0; pair < PAIRS; ++pair)
    stage_columns((__local float *)(queries + pair * HEAD_DIM * PAIR), PAIR_ROWS, HEAD_DIM, query, query_base,
                  query_row_stride, tile.row_base + tile.first_row + pair * PAIR_ROWS,
                  tile.rows - pair * PAIR_ROWS ORDER);
  for (int v = 0; v < ROW_VECTORS; ++v) {
    row_max[v] = -INFINITY;
    row_sum[v] = 0.0f;
#if SINKS
    if (work.split == 0) {
      row_max[v] = SINK(work.head) * M_LOG2E_F;
      row_sum[v] = 1.0f;
    }
#endif
  }
  for (int i = 0; i < QUERY_TILE * VALUE_VECTORS; ++i)
    outputs[i] = 0.0f;

  for (long number = work.first_step; number < work.end_step; ++number) {
    step_t step;
    find_step(&step, number, &work, key_length MASK_ARGUMENTS);
    const int first_key_row = tile.key_base + step.first_key;
    stage_vectors(keys, HEAD_VECTORS, MICRO_KEYS, key, key_base, key_row_stride, first_key_row, step.keys,
                  HEAD_DIM ORDER);
    for (int pair = 0; pair * PAIR_ROWS < tile.rows; ++pair) {
      if (pair * PAIR_ROWS + VECTOR < tile.rows)
        compute_pair(PAIR, pair, scores, queries, FLOATS(keys), row_max, row_scale, row_sum, &tile, &step,
                     &score ORDER);
      else
        compute_pair(1, pair, scores, queries, FLOATS(keys), row_max, row_scale, row_sum, &tile, &step, &score ORDER);
    }

    stage_vectors(values, VALUE_VECTORS, 1, value, value_base, value_row_stride, first_key_row, step.keys,
                  VALUE_DIM ORDER);
    for (int i = 0; i < tile.rows; i += MICRO_QUERIES) {
      const int pair = i / PAIR_ROWS;
      bool hides;
      const int pair_keys = keys_of_pair(pair, &tile, &step, &hides);
      __local const float *weights = FLOATS(scores) + pair * (KEY_TILE * PAIR_ROWS) + i % PAIR_ROWS;
      __local const float *shrink = FLOATS(row_scale) + i;
      __local vec_t *row_outputs = outputs + i * VALUE_VECTORS;
      if (pair_keys == 0)
        continue;
      for (int c = 0; c + CHANNELS <= VALUE_VECTORS; c += CHANNELS)
        multiply_values(CHANNELS, row_outputs + c, weights, values + c, shrink, pair_keys);
#if VALUE_VECTORS % CHANNELS
      multiply_values(1, row_outputs + VALUE_VECTORS - 1, weights, values + VALUE_VECTORS - 1, shrink, pair_keys);
#endif
    }
  }

  if (lse)
    finish_lse(row_max, row_sum);
  // Rows of all parts one after another; one part has the rows of O.
  const ulong part_row = (ulong)work.split * part_rows + work.head_number * (ulong)query_length;
  const ulong output_base = output_offset + work.batch * output_batch_stride + work.head * output_head_stride;
  for (int r = 0; r < work.stored_rows; ++r) {
    const ulong row = (ulong)MEMORY_ROW(tile.row_base + tile.first_row + r);
    const float sum = r < tile.rows ? FLOATS(row_sum)[r] : 0.0f;
    const float factor = sum == 0.0f ? 0.0f : 1.0f / sum;
    if (lse)
      lse[part_row + row] = r < tile.rows ? FLOATS(row_max)[r] : -INFINITY;
    __local const vec_t *source = outputs + r * VALUE_VECTORS;
    if (parts)
      store_floats(parts, (part_row + row) * VALUE_DIM, source, factor, VALUE_DIM);
    else
      store_row(output, output_base + row * output_row_stride, source, factor, VALUE_DIM);
  }
}
