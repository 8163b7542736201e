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
// Vectors of scores run across queries, a *pair* of them at a time: MICRO_KEYS keys, read as scalars, times PAIR vectors
// of queries make a micro-tile of sums that stays in registers over all channels. Vectors of outputs run across
// channels: MICRO_QUERIES weights, read as scalars, times CHANNELS vectors of V. So V and O keep their layout, and only
// the queries are transposed, once. Tiles whose pairs are all visible take no step for the mask.
//
// Local memory, in floats (see the declarations): Q^T, D x QUERY_TILE; a tile of K and one of V; scores, KEY_TILE x
// QUERY_TILE; outputs, QUERY_TILE x Dv; three numbers a query.
//
// Tunables: VECTOR (4, 8 or 16), QUERY_TILE, KEY_TILE, MICRO_KEYS, MICRO_QUERIES.
//
// Preconditions: PAIR * VECTOR divides QUERY_TILE; MICRO_KEYS divides KEY_TILE; MICRO_QUERIES divides VECTOR; else as in
// attention.cl.
//
// Needs: scores.clh
// Needs: tiles.clh
// Needs: vectors.clh
// Check: -D MASK=1 -D SEQUENCES=1 -D SOFTCAP=1 -D ALIBI=1 -D DROPOUT=1 -D SINKS=1 -D VECTOR=8
// Check: -D MASK=2 -D HAS_ORDER=1 -D BIAS=1 -D RELATIVE=1 -D DROPOUT=1 -D VECTOR=16 -D WORK_GROUP_SIZE=1

#ifndef MICRO_QUERIES
#define MICRO_QUERIES 4
#endif

#define PAIR 2
#define PAIR_ROWS (PAIR * VECTOR)
#define PAIRS (QUERY_TILE / PAIR_ROWS)
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

// One pair of a step: its scores, its maxima, and its weights in place of the scores. `hides`: whether there are keys
// that some query does not see, or fewer than the micro-tiles hold.
INLINE void weigh_pair(const int vectors, const int pair, __local vec_t *scores, __local const vec_t *queries,
                       __local const float *keys, __local vec_t *row_max, __local vec_t *row_scale,
                       __local vec_t *row_sum, const bool hides, const tile_t *tile, const step_t *step,
                       const score_t *score ORDER_PARAMETER)
{
  vec_t maxima[PAIR];
  const float scale = score->scale * M_LOG2E_F;
#pragma unroll
  for (int r = 0; r < vectors; ++r)
    maxima[r] = -INFINITY;
  for (int j = 0; j < step->keys; j += MICRO_KEYS)
    multiply_keys(vectors, scores + j * PAIR, maxima, queries, keys + j * HEAD_VECTORS * VECTOR, scale);
  if (MODIFIED || hides) {
#pragma unroll 1
    for (int r = 0; r < vectors; ++r) {
      const int v = pair * PAIR + r;
      vec_t maximum = -INFINITY;
#pragma unroll 1
      for (int j = 0; j < step->keys; ++j) {
        vec_t s = scores[j * PAIR + r];
#if MODIFIED
        s = modified_scores(s, pairs_of(v, j, tile, step ORDER), visible_lanes(v, j, tile, step), score) * M_LOG2E_F;
#endif
        s = masked(s, v, j, tile, step);
        scores[j * PAIR + r] = s;
        maximum = larger(s, maximum);
      }
      maxima[r] = maximum;
    }
  }
#pragma unroll
  for (int r = 0; r < vectors; ++r) {
    const int v = pair * PAIR + r;
    const vec_t old = row_max[v];
    const vec_t maximum = larger(maxima[r], old);
    // While all is hidden the maximum is -inf, and -inf - -inf would be NaN.
    const vec_t shift = select(maximum, (vec_t)(0.0f), maximum == (vec_t)(-INFINITY));
    const vec_t shrink = power_of_two(old - shift);
    vec_t sum = 0.0f;
#pragma unroll 4
    for (int j = 0; j < step->keys; ++j) {
      vec_t weight = power_of_two(scores[j * PAIR + r] - shift);
      sum += weight;
#if DROPOUT
      weight *= dropout_factors(pairs_of(v, j, tile, step ORDER), score);
#endif
      scores[j * PAIR + r] = weight;
    }
    row_max[v] = maximum;
    row_scale[v] = shrink;
    row_sum[v] = row_sum[v] * shrink + sum;
  }
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

  const int tile_number = (int)(get_group_id(0) % (ulong)query_tiles);
  const ulong split_number = get_group_id(0) / (ulong)query_tiles;
  const int split = (int)(split_number % (ulong)splits);
  const ulong head = split_number / (ulong)splits % (ulong)query_heads;
  tile_t tile;

  // The queries of this group, the batch entry of its tensors, and which sequence this is.
#if SEQUENCES
  const int number = tiles[2 * (ulong)tile_number];
  const sequence_t sequence = sequence_at(sequences, number);
  const ulong batch = (ulong)sequence.batch;
  tile.first_row = tiles[2 * (ulong)tile_number + 1];
  tile.rows = clamp(sequence.queries - tile.first_row, 0, QUERY_TILE);
  tile.row_base = sequence.first_query;
  tile.key_base = sequence.first_key;
  const int stored_rows = min(QUERY_TILE, sequence.stored_rows - tile.first_row);
  const int sequence_queries = sequence.queries;
  const int sequence_keys = sequence.keys;
#else
  const ulong batch = split_number / (ulong)splits / (ulong)query_heads;
  const int number = (int)batch;
#if MASK == MASK_BLOCKS
  const int tiles_per_row = CEIL_DIV(query_block, QUERY_TILE);
  const int block_row = tile_number / tiles_per_row;
  tile.row_in_block = tile_number % tiles_per_row * QUERY_TILE;
  tile.first_row = block_row * query_block + tile.row_in_block;
  tile.rows = min(min(QUERY_TILE, query_block - tile.row_in_block), query_length - tile.first_row);
#else
  // Under a causal mask the last tiles have the most keys: started first, they leave no long tail.
  tile.first_row = (MASK == MASK_CAUSAL ? query_tiles - 1 - tile_number : tile_number) * QUERY_TILE;
  tile.rows = min(QUERY_TILE, query_length - tile.first_row);
#endif
  tile.row_base = 0;
  tile.key_base = 0;
  const int stored_rows = tile.rows;
  const int sequence_queries = query_length;
  const int sequence_keys = key_length;
#endif
  tile.diagonal = sequence_keys - sequence_queries;
  const ulong head_number = batch * (ulong)query_heads + head;
  const ulong kv_head = head / (ulong)head_ratio;

  // Its steps over tiles of keys.
#if MASK == MASK_BLOCKS
  __global const int *row_entries = row_offsets + MASK_ROW(batch, head) + block_row;
  const int first_entry = row_entries[0];
  const int tiles_per_block = CEIL_DIV(key_block, KEY_TILE);
  const long steps = (long)(row_entries[1] - first_entry) * tiles_per_block;
#else
  const int key_end =
      MASK == MASK_CAUSAL ? clamp(tile.first_row + tile.rows + tile.diagonal, 0, sequence_keys) : sequence_keys;
  const long steps = tile.rows > 0 ? CEIL_DIV(key_end, KEY_TILE) : 0;
#endif
  const long end_step = steps * (split + 1) / splits;

  const ulong query_base = query_offset + batch * query_batch_stride + head * query_head_stride;
  const ulong key_base = key_offset + batch * key_batch_stride + kv_head * key_head_stride;
  const ulong value_base = value_offset + batch * value_batch_stride + kv_head * value_head_stride;
  const score_t score = SCORE_STATE(number, head, head_number, sequence_queries, sequence_keys);

  WIDE_VECTORS();
  for (int pair = 0; pair < PAIRS; ++pair)
    stage_columns((__local float *)(queries + pair * HEAD_DIM * PAIR), PAIR_ROWS, HEAD_DIM, query, query_base,
                  query_row_stride, tile.row_base + tile.first_row + pair * PAIR_ROWS,
                  tile.rows - pair * PAIR_ROWS ORDER);
  for (int v = 0; v < ROW_VECTORS; ++v) {
    row_max[v] = -INFINITY;
    row_sum[v] = 0.0f;
#if SINKS
    if (split == 0) {
      row_max[v] = SINK(head) * M_LOG2E_F;
      row_sum[v] = 1.0f;
    }
#endif
  }
  for (int i = 0; i < QUERY_TILE * VALUE_VECTORS; ++i)
    outputs[i] = 0.0f;

  for (long number_of_step = steps * split / splits; number_of_step < end_step; ++number_of_step) {
    // A ragged last block may leave a step no key.
    step_t step;
#if MASK == MASK_BLOCKS
    const int entry = first_entry + (int)(number_of_step / tiles_per_block);
    const int key_in_block = (int)(number_of_step % tiles_per_block) * KEY_TILE;
    step.first_key = columns[entry] * key_block + key_in_block;
    step.keys = max(min(min(KEY_TILE, key_block - key_in_block), key_length - step.first_key), 0);
    step.pattern = patterns[entry];
    step.words_per_key = CEIL_DIV(query_block, 32);
    step.bits = pattern_words + ((ulong)max(step.pattern, 0) * key_block + key_in_block) * step.words_per_key +
                tile.row_in_block / 32;
    const bool hides = step.pattern >= 0 || step.keys % MICRO_KEYS != 0;
#else
    step.first_key = (int)number_of_step * KEY_TILE;
    step.keys = min(KEY_TILE, key_end - step.first_key);
    const bool hides = (MASK == MASK_CAUSAL && step.first_key + step.keys - 1 - tile.diagonal > tile.first_row) ||
                       step.keys % MICRO_KEYS != 0;
#endif
    const int first_key_row = tile.key_base + step.first_key;
    stage_vectors(keys, HEAD_VECTORS, MICRO_KEYS, key, key_base, key_row_stride, first_key_row, step.keys,
                  HEAD_DIM ORDER);
    for (int pair = 0; pair * PAIR_ROWS < tile.rows; ++pair) {
      __local vec_t *pair_scores = scores + pair * KEY_TILE * PAIR;
      __local const vec_t *pair_queries = queries + pair * HEAD_DIM * PAIR;
      if (pair * PAIR_ROWS + VECTOR < tile.rows)
        weigh_pair(PAIR, pair, pair_scores, pair_queries, (__local const float *)keys, row_max, row_scale, row_sum,
                   hides, &tile, &step, &score ORDER);
      else
        weigh_pair(1, pair, pair_scores, pair_queries, (__local const float *)keys, row_max, row_scale, row_sum,
                   hides, &tile, &step, &score ORDER);
    }

    stage_vectors(values, VALUE_VECTORS, 1, value, value_base, value_row_stride, first_key_row, step.keys,
                  VALUE_DIM ORDER);
    for (int i = 0; i < tile.rows; i += MICRO_QUERIES) {
      __local const float *weights =
          (__local const float *)scores + i / PAIR_ROWS * (KEY_TILE * PAIR_ROWS) + i % PAIR_ROWS;
      __local const float *shrink = (__local const float *)row_scale + i;
      __local vec_t *row_outputs = outputs + i * VALUE_VECTORS;
      for (int c = 0; c + CHANNELS <= VALUE_VECTORS; c += CHANNELS)
        multiply_values(CHANNELS, row_outputs + c, weights, values + c, shrink, step.keys);
#if VALUE_VECTORS % CHANNELS
      multiply_values(1, row_outputs + VALUE_VECTORS - 1, weights, values + VALUE_VECTORS - 1, shrink, step.keys);
#endif
    }
  }

  // Rows of all parts one after another; one part has the rows of O.
  const ulong part_row = (ulong)split * part_rows + head_number * (ulong)query_length;
  const ulong output_base = output_offset + batch * output_batch_stride + head * output_head_stride;
  for (int r = 0; r < stored_rows; ++r) {
    const ulong row = (ulong)MEMORY_ROW(tile.row_base + tile.first_row + r);
    const float sum = r < tile.rows ? ((__local const float *)row_sum)[r] : 0.0f;
    const float factor = sum == 0.0f ? 0.0f : 1.0f / sum;
    if (lse)
      lse[part_row + row] = sum == 0.0f ? -INFINITY : ((__local const float *)row_max)[r] * M_LN2_F + log(sum);
    __local const vec_t *source = outputs + r * VALUE_VECTORS;
    if (parts)
      store_floats(parts, (part_row + row) * VALUE_DIM, source, factor, VALUE_DIM);
    else
      store_row(output, output_base + row * output_row_stride, source, factor, VALUE_DIM);
  }
}
