// Attention, forward, tile by tile.
//
//   O[i,:] = sum_j keep[i,j] exp(s[i,j] - LSE[i]) V[j,:]                   for each visible pair (i, j)
//   LSE[i] = ln(sum_j exp(s[i,j]) + exp(sink))                             -inf, and O[i,:] = 0, if query i sees no key
//
// with the scores s of scores.clh; keep is 1 without dropout, else 0 or 1 / (1 - p). The softmax is taken online
// (Milakov and Gimelshein, arXiv 1805.02867; Dao et al., arXiv 2205.14135): a running maximum and sum per query, begun
// by a sink, and sums of O that shrink whenever the maximum grows. Scores never reach global memory. Elements are
// stored as STORAGE says; all arithmetic is fp32.
//
// Tensors: Q[b, h, i, :], K[b, h / head_ratio, j, :], V likewise, O like Q. Each has an offset and strides for batch,
// head and row, in elements; channels are adjacent. LSE[b, h, i] is contiguous, and may be null. Masks speak of
// positions, tensors have rows: MEMORY_ROW leads from one to the other.
//
// Work-group (WORK_GROUP_SIZE, 1, 1): QUERY_TILE queries of one head; the groups run over query tiles, then splits,
// heads and batches; with SEQUENCES over the tiles of a table, splits and heads. The group walks over its keys KEY_TILE
// at a time and skips what the mask hides as a whole. With splits > 1 each of that many groups takes an equal share of
// the steps, and leaves its output and LSE in fp32 in `parts` [split, b, h, i, Dv] and `lse` [split, b, h, i], both
// contiguous, for attention_merge.cl.
//
// All vectors run across *queries*: lane r of row vector v is query v * VECTOR + r of the tile. So no sum or maximum
// crosses lanes, any D and Dv fill the lanes, and keys and values are read as scalars from their natural layout. The
// unit of work is a micro-tile: MICRO_KEYS or MICRO_VALUES x one row vector, in registers. Many items share the
// micro-tiles on a GPU; a single item does them all on a CPU, where that is a plain vector loop without barriers.
//
// Local memory, in floats (see the declarations): Q^T, D x QUERY_TILE; a stage for a slice of K or of V; the scores'
// tile, KEY_TILE x QUERY_TILE; one partial result for each MICRO_KEYS keys and query; four numbers a query.
//
// Tunables: VECTOR (4, 8 or 16), QUERY_TILE, KEY_TILE, DEPTH_TILE (channels of K staged at a time), VALUE_TILE (keys of
// V staged at a time), MICRO_KEYS, MICRO_VALUES, WORK_GROUP_SIZE.
//
// Preconditions: VECTOR divides QUERY_TILE; MICRO_KEYS divides KEY_TILE; VALUE_TILE and MICRO_VALUES at most KEY_TILE;
// DEPTH_TILE a multiple of 4; WORK_GROUP_SIZE a power of two; lengths at most 2^30; what the mask hides is finite.
//
// Needs: scores.clh
// Needs: tiles.clh
// Check: -D MASK=1 -D SEQUENCES=1 -D SOFTCAP=1 -D ALIBI=1 -D DROPOUT=1 -D SINKS=1
// Check: -D MASK=2 -D HAS_ORDER=1 -D BIAS=1 -D RELATIVE=1 -D DROPOUT=1 -D VECTOR=16 -D WORK_GROUP_SIZE=1

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
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
  __local vec_t queries[DEPTH_CHUNKS * DEPTH_TILE * QUERY_PITCH];  // [channel][row vector]
  __local float stage[STAGE];                                     // [key][channel], of K or of V
  __local vec_t scores[KEY_TILE * ROW_VECTORS];                   // [key][row vector], later weights, then outputs
  __local vec_t partials[KEY_GROUPS * ROW_VECTORS];               // maxima, then sums, of MICRO_KEYS keys
  __local vec_t row_max[ROW_VECTORS];
  __local vec_t row_shift[ROW_VECTORS];  // row_max, or 0 where that is -inf
  __local vec_t row_scale[ROW_VECTORS];  // what old sums shrink by
  __local vec_t row_sum[ROW_VECTORS];
  vec_t outputs[OUTPUTS_PER_ITEM][MICRO_VALUES];

  const int item = (int)get_local_id(0);
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

  stage_rows((__local float *)queries, 1, QUERY_PITCH * VECTOR, QUERY_TILE, DEPTH_CHUNKS * DEPTH_TILE, query,
             query_base, query_row_stride, tile.row_base + tile.first_row, tile.rows, HEAD_DIM ORDER);
  for (int v = item; v < ROW_VECTORS; v += WORK_GROUP_SIZE) {
    row_max[v] = -INFINITY;
    row_sum[v] = 0.0f;
#if SINKS
    if (split == 0) {
      row_max[v] = SINK(head);
      row_sum[v] = 1.0f;
    }
#endif
  }
#pragma unroll OUTPUT_UNROLL
  for (int i = 0; i < OUTPUTS_PER_ITEM; ++i)
#pragma unroll
    for (int j = 0; j < MICRO_VALUES; ++j)
      outputs[i][j] = 0.0f;

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
#else
    step.first_key = (int)number_of_step * KEY_TILE;
    step.keys = min(KEY_TILE, key_end - step.first_key);
#endif
    const int first_key_row = tile.key_base + step.first_key;

    // Scores, one slice of channels after the other.
    for (int chunk = 0; chunk < DEPTH_CHUNKS; ++chunk) {
      stage_rows(stage, KEY_PITCH, 1, KEY_TILE, DEPTH_TILE, key, key_base + chunk * DEPTH_TILE, key_row_stride,
                 first_key_row, step.keys, min(DEPTH_TILE, HEAD_DIM - chunk * DEPTH_TILE) ORDER);
      SYNC();
      score_tile(scores, partials, queries, stage, chunk, &tile, &step, &score ORDER);
      SYNC();
    }

    const int groups = CEIL_DIV(step.keys, MICRO_KEYS);
    for (int v = item; v * VECTOR < tile.rows; v += WORK_GROUP_SIZE) {
      const vec_t old = row_max[v];
      vec_t maximum = old;
      for (int g = 0; g < groups; ++g)
        maximum = fmax(maximum, partials[g * ROW_VECTORS + v]);
      // While all is hidden the maximum is -inf, and -inf - -inf would be NaN.
      const vec_t shift = select(maximum, (vec_t)(0.0f), maximum == (vec_t)(-INFINITY));
      row_max[v] = maximum;
      row_shift[v] = shift;
      row_scale[v] = exponential(old - shift);
    }
    stage_rows(stage, VALUE_PITCH, 1, VALUE_TILE, VALUE_PITCH, value, value_base, value_row_stride, first_key_row,
               step.keys, VALUE_DIM ORDER);
    SYNC();
    weigh_tile(scores, partials, row_shift, &tile, &step, &score ORDER);
    SYNC();
    for (int v = item; v * VECTOR < tile.rows; v += WORK_GROUP_SIZE) {
      vec_t sum = row_sum[v] * row_scale[v];
      for (int g = 0; g < groups; ++g)
        sum += partials[g * ROW_VECTORS + v];
      row_sum[v] = sum;
    }

    // Outputs, VALUE_TILE keys after the other; the first ones are staged already.
    for (int first = 0; first < step.keys; first += VALUE_TILE) {
      if (first > 0) {
        SYNC();
        stage_rows(stage, VALUE_PITCH, 1, VALUE_TILE, VALUE_PITCH, value, value_base, value_row_stride,
                   first_key_row + first, step.keys - first, VALUE_DIM ORDER);
        SYNC();
      }
      accumulate_outputs(outputs, scores + first * ROW_VECTORS, stage, row_scale, first == 0,
                         min(VALUE_TILE, step.keys - first), tile.rows);
    }
    SYNC();
  }

  for (int v = item; v < ROW_VECTORS; v += WORK_GROUP_SIZE) {
    const vec_t sum = row_sum[v];
    row_scale[v] = select((vec_t)(1.0f) / sum, (vec_t)(0.0f), sum == (vec_t)(0.0f));
  }
  SYNC();
  // Rows of all parts one after another; one part has the rows of O.
  const ulong part_row = (ulong)split * part_rows + head_number * (ulong)query_length;
  const int first_output_row = tile.row_base + tile.first_row;
  if (lse) {
    for (int r = item; r < stored_rows; r += WORK_GROUP_SIZE) {
      const float sum = r < tile.rows ? ((__local const float *)row_sum)[r] : 0.0f;
      lse[part_row + (ulong)MEMORY_ROW(first_output_row + r)] =
          sum == 0.0f ? -INFINITY : ((__local const float *)row_max)[r] + log(sum);
    }
  }

  // Turn the outputs round in local memory, as many channels at a time as fit there, so that stores run along channels.
  const int groups_per_turn = KEY_TILE / MICRO_VALUES;
  const ulong output_base = output_offset + batch * output_batch_stride + head * output_head_stride;
  for (int turn = 0; turn * groups_per_turn < VALUE_GROUPS; ++turn) {
#pragma unroll OUTPUT_UNROLL
    for (int i = 0; i < OUTPUTS_PER_ITEM; ++i) {
      const int t = item + i * WORK_GROUP_SIZE;
      const int v = t % ROW_VECTORS;
      const int group = t / ROW_VECTORS - turn * groups_per_turn;
      if (t < OUTPUT_TILES && group >= 0 && group < groups_per_turn) {
#pragma unroll
        for (int j = 0; j < MICRO_VALUES; ++j)
          scores[(group * MICRO_VALUES + j) * ROW_VECTORS + v] = outputs[i][j] * row_scale[v];
      }
    }
    SYNC();
    const int first_channel = turn * groups_per_turn * MICRO_VALUES;
    const int channels = min(groups_per_turn * MICRO_VALUES, VALUE_DIM - first_channel);
    for (int r = item / STAGE_LANES; r < stored_rows; r += WORK_GROUP_SIZE / STAGE_LANES) {
      const ulong row = (ulong)MEMORY_ROW(first_output_row + r);
      for (int c = item % STAGE_LANES; c < channels; c += STAGE_LANES) {
        const float x = r < tile.rows ? ((__local const float *)scores)[c * QUERY_TILE + r] : 0.0f;
        if (parts)
          parts[(part_row + row) * VALUE_DIM + first_channel + c] = x;
        else
          store_storage(output, output_base + row * output_row_stride + first_channel + c, x);
      }
    }
    SYNC();
  }
}
