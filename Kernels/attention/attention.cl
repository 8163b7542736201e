// Attention, forward, tile by tile.
//
//   O[i,:] = sum_j keep[i,j] exp(s[i,j] - LSE[i]) V[j,:]                   for each visible pair (i, j)
//   LSE[i] = ln(sum_j exp(s[i,j]) + exp(sink))                             -inf, and O[i,:] = 0, if query i sees no key
//
// with the scores s of common.clh; keep is 1 without dropout, else 0 or 1 / (1 - p). The softmax is taken online
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
// Check: -D MASK=1 -D SEQUENCES=1 -D SOFTCAP=1 -D ALIBI=1 -D DROPOUT=1 -D SINKS=1
// Check: -D MASK=2 -D HAS_ORDER=1 -D BIAS=1 -D RELATIVE=1 -D DROPOUT=1 -D VECTOR=16 -D WORK_GROUP_SIZE=1

#ifndef QUERY_TILE
#define QUERY_TILE 64
#endif
#ifndef KEY_TILE
#define KEY_TILE 32
#endif
#ifndef DEPTH_TILE
#define DEPTH_TILE 32
#endif
#ifndef VALUE_TILE
#define VALUE_TILE 16
#endif
#ifndef MICRO_KEYS
#define MICRO_KEYS 4
#endif
#ifndef MICRO_VALUES
#define MICRO_VALUES 8
#endif

#define ROW_VECTORS (QUERY_TILE / VECTOR)
#define KEY_GROUPS (KEY_TILE / MICRO_KEYS)
#define SCORE_TILES (KEY_GROUPS * ROW_VECTORS)
#define VALUE_GROUPS CEIL_DIV(VALUE_DIM, MICRO_VALUES)
#define OUTPUT_TILES (VALUE_GROUPS * ROW_VECTORS)
#define OUTPUTS_PER_ITEM CEIL_DIV(OUTPUT_TILES, WORK_GROUP_SIZE)
#define DEPTH_CHUNKS CEIL_DIV(HEAD_DIM, DEPTH_TILE)

// One vector and four floats of padding: columns of neighbouring channels and keys then start in different banks.
#define QUERY_PITCH (ROW_VECTORS + 1)
#define KEY_PITCH (DEPTH_TILE + 4)
#define VALUE_PITCH (VALUE_GROUPS * MICRO_VALUES)
#define KEY_STAGE (KEY_TILE * KEY_PITCH)
#define VALUE_STAGE (VALUE_TILE * VALUE_PITCH)
#define STAGE (KEY_STAGE > VALUE_STAGE ? KEY_STAGE : VALUE_STAGE)

#if WORK_GROUP_SIZE > 1
// Fully unrolled, the few outputs of an item live in registers; four channels of a key are one load.
#define OUTPUT_UNROLL OUTPUTS_PER_ITEM
#define DEPTH_UNROLL 4
#else
// The outputs of the one item are all those of the tile, and a micro-tile fills the registers, so unrolling gives
// nothing but spills and build time.
#define OUTPUT_UNROLL 1
#define DEPTH_UNROLL 1
#endif
// Long code for a score is there once; short code leaves the sums in registers.
#define SCORE_UNROLL (MODIFIED ? 1 : MICRO_KEYS)
#define WEIGHT_UNROLL (DROPOUT ? 1 : MICRO_KEYS)

// The queries of a group, and the lengths that its masks go by.
typedef struct {
  int first_row;    // position of the first query
  int rows;         // queries that there are
  int diagonal;     // under a causal mask query i sees keys up to i + diagonal
  int row_base;     // row of position 0, of queries
  int key_base;     // and of keys
  int row_in_block;
} tile_t;

// The keys of a step: `keys` positions from `first_key` on.
typedef struct {
  int first_key;
  int keys;
#if MASK == MASK_BLOCKS
  int pattern;  // -1: all pairs are visible
  int words_per_key;
  __global const uint *bits;
#endif
} step_t;

// Row vector v against key j of a step; lanes behind the last query repeat it.
static inline pairs_t pairs_of(const int v, const int j, const tile_t *tile, const step_t *step ORDER_PARAMETER)
{
  pairs_t pairs;
  pairs.query = min((ivec_t)(tile->first_row + v * VECTOR) + (ivec_t)LANES, tile->first_row + tile->rows - 1);
  pairs.query_row = memory_rows(pairs.query + tile->row_base ORDER);
  pairs.key = step->first_key + j;
  pairs.key_row = MEMORY_ROW(step->first_key + j + tile->key_base);
  return pairs;
}

// Scores of row vector v and key j of a step, with -inf where the mask hides the key; j may lie behind the last one.
static inline vec_t masked(vec_t s, const int v, const int j, const tile_t *tile, const step_t *step)
{
#if MASK == MASK_CAUSAL
  const int first = step->first_key + j - tile->diagonal;  // the first query that sees the key
  if (first > tile->first_row)
    s = select(s, (vec_t)(-INFINITY), (ivec_t)(first) > (ivec_t)(tile->first_row + v * VECTOR) + (ivec_t)LANES);
#elif MASK == MASK_BLOCKS
  if (step->pattern >= 0 && j < step->keys) {
    // A row vector never straddles words: VECTOR divides 32, and tiles begin at multiples of VECTOR.
    const int bit = tile->row_in_block % 32 + v * VECTOR;
    const uint word = step->bits[j * step->words_per_key + bit / 32] >> (bit % 32);
    s = select((vec_t)(-INFINITY), s, (((uvec_t)(word) >> (uvec_t)LANES) & 1u) == 1u);
  }
#endif
  return s;
}

// Adds the products over one slice of channels to a micro-tile of scores.
INLINE void accumulate_products(vec_t sums[MICRO_KEYS], __local const vec_t *queries, __local const float *keys)
{
#pragma unroll DEPTH_UNROLL
  for (int d = 0; d < DEPTH_TILE; ++d) {
    const vec_t q = queries[d * QUERY_PITCH];
#pragma unroll
    for (int j = 0; j < MICRO_KEYS; ++j)
      sums[j] += q * keys[j * KEY_PITCH + d];
  }
}

// The scores' tile over one slice of channels; after the last one, also the maximum of each micro-tile.
INLINE void score_tile(__local vec_t *scores, __local vec_t *maxima, __local const vec_t *queries,
                       __local const float *keys, const int chunk, const tile_t *tile, const step_t *step,
                       const score_t *score ORDER_PARAMETER)
{
  for (int t = (int)get_local_id(0); t < SCORE_TILES; t += WORK_GROUP_SIZE) {
    const int v = t % ROW_VECTORS;
    const int first = t / ROW_VECTORS * MICRO_KEYS;
    if (first >= step->keys || v * VECTOR >= tile->rows)
      continue;
    __local vec_t *micro = scores + first * ROW_VECTORS + v;
    vec_t sums[MICRO_KEYS];
#pragma unroll
    for (int j = 0; j < MICRO_KEYS; ++j)
      sums[j] = chunk == 0 ? (vec_t)(0.0f) : micro[j * ROW_VECTORS];
    accumulate_products(sums, queries + chunk * DEPTH_TILE * QUERY_PITCH + v, keys + first * KEY_PITCH);
    if (MODIFIED || chunk < DEPTH_CHUNKS - 1) {
#pragma unroll
      for (int j = 0; j < MICRO_KEYS; ++j)
        micro[j * ROW_VECTORS] = sums[j];
    }
    if (chunk < DEPTH_CHUNKS - 1)
      continue;
    vec_t maximum = -INFINITY;
#pragma unroll SCORE_UNROLL
    for (int j = 0; j < MICRO_KEYS; ++j) {
#if MODIFIED
      vec_t s = -INFINITY;
      if (first + j < step->keys)
        s = modified_scores(micro[j * ROW_VECTORS], pairs_of(v, first + j, tile, step ORDER), score);
#else
      vec_t s = sums[j] * score->scale;
      if (first + j >= step->keys)
        s = -INFINITY;
#endif
      s = masked(s, v, first + j, tile, step);
      micro[j * ROW_VECTORS] = s;
      maximum = fmax(maximum, s);
    }
    maxima[t] = maximum;
  }
}

// Weights, in place of the scores, and the sum of each micro-tile before dropout.
INLINE void weigh_tile(__local vec_t *scores, __local vec_t *sums, __local const vec_t *row_shift,
                       const tile_t *tile, const step_t *step, const score_t *score ORDER_PARAMETER)
{
  for (int t = (int)get_local_id(0); t < SCORE_TILES; t += WORK_GROUP_SIZE) {
    const int v = t % ROW_VECTORS;
    const int first = t / ROW_VECTORS * MICRO_KEYS;
    if (first >= step->keys || v * VECTOR >= tile->rows)
      continue;
    __local vec_t *micro = scores + first * ROW_VECTORS + v;
    const vec_t shift = row_shift[v];
    vec_t sum = 0.0f;
#pragma unroll WEIGHT_UNROLL
    for (int j = 0; j < MICRO_KEYS; ++j) {
      vec_t weight = exponential(micro[j * ROW_VECTORS] - shift);
      sum += weight;
#if DROPOUT
      weight *= dropout_factors(pairs_of(v, min(first + j, step->keys - 1), tile, step ORDER), score);
#endif
      micro[j * ROW_VECTORS] = weight;
    }
    sums[t] = sum;
  }
}

// Adds weights times values, for `count` staged values, to the outputs of this item, which shrink first.
INLINE void accumulate_outputs(vec_t outputs[OUTPUTS_PER_ITEM][MICRO_VALUES], __local const vec_t *weights,
                               __local const float *stage, __local const vec_t *row_scale, const bool shrinks,
                               const int count, const int rows)
{
#pragma unroll OUTPUT_UNROLL
  for (int i = 0; i < OUTPUTS_PER_ITEM; ++i) {
    const int t = (int)get_local_id(0) + i * WORK_GROUP_SIZE;
    const int v = t % ROW_VECTORS;
    if (t < OUTPUT_TILES && v * VECTOR < rows) {
      __local const float *values = stage + t / ROW_VECTORS * MICRO_VALUES;
      const vec_t shrink = shrinks ? row_scale[v] : (vec_t)(1.0f);
      vec_t sums[MICRO_VALUES];
#pragma unroll
      for (int j = 0; j < MICRO_VALUES; ++j)
        sums[j] = outputs[i][j] * shrink;
      for (int k = 0; k < count; ++k) {
        const vec_t weight = weights[k * ROW_VECTORS + v];
#pragma unroll
        for (int j = 0; j < MICRO_VALUES; ++j)
          sums[j] += weight * values[k * VALUE_PITCH + j];
      }
#pragma unroll
      for (int j = 0; j < MICRO_VALUES; ++j)
        outputs[i][j] = sums[j];
    }
  }
}

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
