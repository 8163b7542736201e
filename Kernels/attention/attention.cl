// Scaled dot-product attention, forward, tile by tile.
//
//   s[i,j] = scale * sum_d Q[i,d] K[j,d]        for each visible pair (i, j)
//   O[i,:] = sum_j exp(s[i,j] - LSE[i]) V[j,:]
//   LSE[i] = ln sum_j exp(s[i,j])               -inf, and O[i,:] = 0, if query i sees no key
//
// The softmax is taken online (Milakov and Gimelshein, arXiv 1805.02867; Dao et al., arXiv 2205.14135): a running
// maximum and sum per query, and sums of O that shrink whenever the maximum grows. Scores never reach global memory.
// Elements are stored as STORAGE says; all arithmetic is fp32.
//
// Tensors: Q[b, h, i, :], K[b, h / head_ratio, j, :], V likewise, O like Q. Each has an offset and strides for batch,
// head and row, in elements; channels are adjacent. LSE[b, h, i] is contiguous. A *position* is an index into `order`,
// which gives the row in memory, or the row itself without one. Masks speak of positions.
//
// Work-group (WORK_GROUP_SIZE, 1, 1): QUERY_TILE queries of one head; the groups run over query tiles, then heads, then
// batches. The group walks over its keys KEY_TILE at a time and skips what the mask hides as a whole.
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

#define MASK_NONE 0
#define MASK_CAUSAL 1
#define MASK_BLOCKS 2

#ifndef HEAD_DIM
#define HEAD_DIM 64
#endif
#ifndef VALUE_DIM
#define VALUE_DIM 64
#endif
#ifndef MASK
#define MASK MASK_NONE
#endif
#ifndef HAS_ORDER
#define HAS_ORDER 0
#endif
#ifndef WRITE_LSE
#define WRITE_LSE 0
#endif
#ifndef WORK_GROUP_SIZE
#define WORK_GROUP_SIZE 128
#endif
#ifndef VECTOR
#define VECTOR 4
#endif
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

#define CEIL_DIV(a, b) (((a) + (b) - 1) / (b))

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

#if VECTOR == 4
typedef float4 vec_t;
typedef uint4 uvec_t;
typedef int4 ivec_t;
#define LANES (0, 1, 2, 3)
#elif VECTOR == 8
typedef float8 vec_t;
typedef uint8 uvec_t;
typedef int8 ivec_t;
#define LANES (0, 1, 2, 3, 4, 5, 6, 7)
#else
typedef float16 vec_t;
typedef uint16 uvec_t;
typedef int16 ivec_t;
#define LANES (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#endif

#if WORK_GROUP_SIZE > 1
#define SYNC() barrier(CLK_LOCAL_MEM_FENCE)
// Fully unrolled, the few outputs of an item live in registers; four channels of a key are one load.
#define OUTPUT_UNROLL OUTPUTS_PER_ITEM
#define DEPTH_UNROLL 4
#else
// One item needs no barrier, and CPU compilers cut a kernel apart at each. Its outputs are all those of the tile, and
// a micro-tile fills the registers, so unrolling gives nothing but spills and build time.
#define SYNC()
#define OUTPUT_UNROLL 1
#define DEPTH_UNROLL 1
#endif

// The items that share a row while rows are copied.
#define STAGE_LANES (WORK_GROUP_SIZE < 16 ? WORK_GROUP_SIZE : 16)

#if HAS_ORDER
#define ORDER_ARGUMENT , __global const int *order
#define ORDER , order
#define MEMORY_ROW(position) (order[position])
#else
#define ORDER_ARGUMENT
#define ORDER
#define MEMORY_ROW(position) (position)
#endif

// Copies `rows` rows from position `first` on into a tile of tile_rows x tile_channels floats, and zeros behind them.
// Zeros matter: what lies behind the last key must not be NaN, or its weight of 0 would not silence it.
static inline void stage_rows(__local float *tile, const int row_step, const int channel_step, const int tile_rows,
                       const int tile_channels, __global const storage_t *source, const ulong base,
                       const ulong row_stride, const int first, const int rows, const int channels ORDER_ARGUMENT)
{
  const int item = (int)get_local_id(0);
  for (int r = item / STAGE_LANES; r < tile_rows; r += WORK_GROUP_SIZE / STAGE_LANES) {
    const int valid = r < rows ? channels : 0;
    const ulong start = base + (r < rows ? (ulong)MEMORY_ROW(first + r) * row_stride : 0);
    __local float *target = tile + r * row_step;
    int c = item % STAGE_LANES;
    for (; c < valid; c += STAGE_LANES)
      target[c * channel_step] = load_storage(source, start + c);
    for (; c < tile_channels; c += STAGE_LANES)
      target[c * channel_step] = 0.0f;
  }
}

// exp of differences that are not positive, for which exp2 is exact enough and the cheaper function.
static inline vec_t exponential(const vec_t x)
{
  return exp2(x * M_LOG2E_F);
}

// Adds the products over one slice of channels to a micro-tile of scores.
static inline void accumulate_scores(vec_t sums[MICRO_KEYS], __local const vec_t *queries, __local const float *keys)
{
#pragma unroll DEPTH_UNROLL
  for (int d = 0; d < DEPTH_TILE; ++d) {
    const vec_t q = queries[d * QUERY_PITCH];
#pragma unroll
    for (int j = 0; j < MICRO_KEYS; ++j)
      sums[j] += q * keys[j * KEY_PITCH + d];
  }
}

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_attention_forward(
    __global const storage_t *query, __global const storage_t *key, __global const storage_t *value,
    __global storage_t *output,
#if WRITE_LSE
    __global float *lse,
#endif
#if HAS_ORDER
    __global const int *order,  // position -> row in memory
#endif
#if MASK == MASK_BLOCKS
    __global const int *row_offsets,     // block row -> its first entry
    __global const int *columns,         // entry -> block column
    __global const int *patterns,        // entry -> pattern, or -1 if every pair is visible
    __global const uint *pattern_words,  // pattern, key, query / 32 -> bits of 32 queries
    const int query_block, const int key_block,
#endif
    const ulong query_offset, const ulong query_batch_stride, const ulong query_head_stride,
    const ulong query_row_stride, const ulong key_offset, const ulong key_batch_stride, const ulong key_head_stride,
    const ulong key_row_stride, const ulong value_offset, const ulong value_batch_stride,
    const ulong value_head_stride, const ulong value_row_stride, const ulong output_offset,
    const ulong output_batch_stride, const ulong output_head_stride, const ulong output_row_stride,
    const int query_length, const int key_length, const int query_heads, const int head_ratio, const int query_tiles,
    const float scale)
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
  const ulong head_number = get_group_id(0) / (ulong)query_tiles;
  const ulong batch = head_number / (ulong)query_heads;
  const ulong head = head_number % (ulong)query_heads;
  const ulong kv_head = head / (ulong)head_ratio;
  const int tile_number = (int)(get_group_id(0) % (ulong)query_tiles);

  // The queries of this group: `rows` positions from `first_row` on; and its steps over tiles of keys.
#if MASK == MASK_BLOCKS
  const int tiles_per_row = CEIL_DIV(query_block, QUERY_TILE);
  const int block_row = tile_number / tiles_per_row;
  const int row_in_block = tile_number % tiles_per_row * QUERY_TILE;
  const int first_row = block_row * query_block + row_in_block;
  const int rows = min(min(QUERY_TILE, query_block - row_in_block), query_length - first_row);
  const int first_entry = row_offsets[block_row];
  const int tiles_per_block = CEIL_DIV(key_block, KEY_TILE);
  const long steps = (long)(row_offsets[block_row + 1] - first_entry) * tiles_per_block;
  const int words_per_key = CEIL_DIV(query_block, 32);
#else
#if MASK == MASK_CAUSAL
  // The last tiles have the most keys: started first, they leave no long tail.
  const int first_row = (query_tiles - 1 - tile_number) * QUERY_TILE;
  const int rows = min(QUERY_TILE, query_length - first_row);
  const int diagonal = key_length - query_length;  // query i sees keys up to i + diagonal
  const int key_end = max(first_row + rows + diagonal, 0);
#else
  const int first_row = tile_number * QUERY_TILE;
  const int rows = min(QUERY_TILE, query_length - first_row);
  const int key_end = key_length;
#endif
  const long steps = CEIL_DIV(key_end, KEY_TILE);
#endif

  const ulong query_base = query_offset + batch * query_batch_stride + head * query_head_stride;
  const ulong key_base = key_offset + batch * key_batch_stride + kv_head * key_head_stride;
  const ulong value_base = value_offset + batch * value_batch_stride + kv_head * value_head_stride;

  stage_rows((__local float *)queries, 1, QUERY_PITCH * VECTOR, QUERY_TILE, DEPTH_CHUNKS * DEPTH_TILE, query,
             query_base, query_row_stride, first_row, rows, HEAD_DIM ORDER);
  for (int v = item; v < ROW_VECTORS; v += WORK_GROUP_SIZE) {
    row_max[v] = -INFINITY;
    row_sum[v] = 0.0f;
  }
#pragma unroll OUTPUT_UNROLL
  for (int i = 0; i < OUTPUTS_PER_ITEM; ++i)
#pragma unroll
    for (int j = 0; j < MICRO_VALUES; ++j)
      outputs[i][j] = 0.0f;

  for (long step = 0; step < steps; ++step) {
    // The keys of this step: `keys` positions from `first_key` on. A ragged last block may leave it none.
#if MASK == MASK_BLOCKS
    const int entry = first_entry + (int)(step / tiles_per_block);
    const int key_in_block = (int)(step % tiles_per_block) * KEY_TILE;
    const int first_key = columns[entry] * key_block + key_in_block;
    const int keys = max(min(min(KEY_TILE, key_block - key_in_block), key_length - first_key), 0);
    const int pattern = patterns[entry];
    __global const uint *pattern_bits =
        pattern_words + ((ulong)max(pattern, 0) * key_block + key_in_block) * words_per_key + row_in_block / 32;
#else
    const int first_key = (int)step * KEY_TILE;
    const int keys = min(KEY_TILE, key_end - first_key);
#endif

    // Scores, one slice of channels after the other.
    for (int chunk = 0; chunk < DEPTH_CHUNKS; ++chunk) {
      stage_rows(stage, KEY_PITCH, 1, KEY_TILE, DEPTH_TILE, key, key_base + chunk * DEPTH_TILE, key_row_stride,
                 first_key, keys, min(DEPTH_TILE, HEAD_DIM - chunk * DEPTH_TILE) ORDER);
      SYNC();
      for (int t = item; t < SCORE_TILES; t += WORK_GROUP_SIZE) {
        const int v = t % ROW_VECTORS;
        const int first = t / ROW_VECTORS * MICRO_KEYS;
        if (first >= keys || v * VECTOR >= rows)
          continue;
        __local vec_t *tile = scores + first * ROW_VECTORS + v;
        vec_t sums[MICRO_KEYS];
#pragma unroll
        for (int j = 0; j < MICRO_KEYS; ++j)
          sums[j] = chunk == 0 ? (vec_t)(0.0f) : tile[j * ROW_VECTORS];
        accumulate_scores(sums, queries + chunk * DEPTH_TILE * QUERY_PITCH + v, stage + first * KEY_PITCH);
        if (chunk < DEPTH_CHUNKS - 1) {
#pragma unroll
          for (int j = 0; j < MICRO_KEYS; ++j)
            tile[j * ROW_VECTORS] = sums[j];
          continue;
        }
        vec_t maximum = -INFINITY;
#pragma unroll
        for (int j = 0; j < MICRO_KEYS; ++j) {
          vec_t s = sums[j] * scale;
          if (first + j >= keys)
            s = -INFINITY;
#if MASK == MASK_CAUSAL
          if (first_key + first + j > first_row + diagonal)
            s = select(s, (vec_t)(-INFINITY),
                       (ivec_t)(first_key + first + j - diagonal) > (ivec_t)(first_row + v * VECTOR) + (ivec_t)LANES);
#elif MASK == MASK_BLOCKS
          if (pattern >= 0 && first + j < keys) {
            // A row vector never straddles words: VECTOR divides 32, and tiles begin at multiples of VECTOR.
            const int bit = row_in_block % 32 + v * VECTOR;
            const uint word = pattern_bits[(first + j) * words_per_key + bit / 32] >> (bit % 32);
            s = select((vec_t)(-INFINITY), s, (((uvec_t)(word) >> (uvec_t)LANES) & 1u) == 1u);
          }
#endif
          tile[j * ROW_VECTORS] = s;
          maximum = fmax(maximum, s);
        }
        partials[t] = maximum;
      }
      SYNC();
    }

    const int groups = CEIL_DIV(keys, MICRO_KEYS);
    for (int v = item; v * VECTOR < rows; v += WORK_GROUP_SIZE) {
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
    stage_rows(stage, VALUE_PITCH, 1, VALUE_TILE, VALUE_PITCH, value, value_base, value_row_stride, first_key, keys,
               VALUE_DIM ORDER);
    SYNC();

    // Weights, in place of the scores.
    for (int t = item; t < SCORE_TILES; t += WORK_GROUP_SIZE) {
      const int v = t % ROW_VECTORS;
      const int first = t / ROW_VECTORS * MICRO_KEYS;
      if (first >= keys || v * VECTOR >= rows)
        continue;
      __local vec_t *tile = scores + first * ROW_VECTORS + v;
      const vec_t shift = row_shift[v];
      vec_t sum = 0.0f;
#pragma unroll
      for (int j = 0; j < MICRO_KEYS; ++j) {
        const vec_t weight = exponential(tile[j * ROW_VECTORS] - shift);
        tile[j * ROW_VECTORS] = weight;
        sum += weight;
      }
      partials[t] = sum;
    }
    SYNC();

    for (int v = item; v * VECTOR < rows; v += WORK_GROUP_SIZE) {
      vec_t sum = row_sum[v] * row_scale[v];
      for (int g = 0; g < groups; ++g)
        sum += partials[g * ROW_VECTORS + v];
      row_sum[v] = sum;
    }

    // Outputs, VALUE_TILE keys after the other; the first ones are staged already.
    for (int first = 0; first < keys; first += VALUE_TILE) {
      if (first > 0) {
        SYNC();
        stage_rows(stage, VALUE_PITCH, 1, VALUE_TILE, VALUE_PITCH, value, value_base, value_row_stride,
                   first_key + first, keys - first, VALUE_DIM ORDER);
        SYNC();
      }
      const int count = min(VALUE_TILE, keys - first);
#pragma unroll OUTPUT_UNROLL
      for (int i = 0; i < OUTPUTS_PER_ITEM; ++i) {
        const int t = item + i * WORK_GROUP_SIZE;
        const int v = t % ROW_VECTORS;
        if (t < OUTPUT_TILES && v * VECTOR < rows) {
          __local const float *values = stage + t / ROW_VECTORS * MICRO_VALUES;
          const vec_t shrink = first == 0 ? row_scale[v] : (vec_t)(1.0f);
          vec_t sums[MICRO_VALUES];
#pragma unroll
          for (int j = 0; j < MICRO_VALUES; ++j)
            sums[j] = outputs[i][j] * shrink;
          for (int k = 0; k < count; ++k) {
            const vec_t weight = scores[(first + k) * ROW_VECTORS + v];
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
    SYNC();
  }

  for (int v = item; v < ROW_VECTORS; v += WORK_GROUP_SIZE) {
    const vec_t sum = row_sum[v];
    row_scale[v] = select((vec_t)(1.0f) / sum, (vec_t)(0.0f), sum == (vec_t)(0.0f));
  }
  SYNC();
#if WRITE_LSE
  for (int r = item; r < rows; r += WORK_GROUP_SIZE) {
    const float sum = ((__local const float *)row_sum)[r];
    const float maximum = ((__local const float *)row_max)[r];
    lse[head_number * (ulong)query_length + (ulong)MEMORY_ROW(first_row + r)] =
        sum == 0.0f ? -INFINITY : maximum + log(sum);
  }
#endif

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
    for (int r = item / STAGE_LANES; r < rows; r += WORK_GROUP_SIZE / STAGE_LANES) {
      const ulong row = output_base + (ulong)MEMORY_ROW(first_row + r) * output_row_stride + first_channel;
      for (int c = item % STAGE_LANES; c < channels; c += STAGE_LANES)
        store_storage(output, row + c, ((__local const float *)scores)[c * QUERY_TILE + r]);
    }
    SYNC();
  }
}
