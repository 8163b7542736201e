// Scaled dot-product attention, forward, for NVIDIA Hopper: fp16 and bf16, D = Dv of 64 or 128.
//
//   s[i,j] = scale * sum_d Q[i,d] K[j,d]        for each visible pair (i, j); scale > 0
//   O[i,:] = sum_j exp(s[i,j] - LSE[i]) V[j,:]
//   LSE[i] = ln sum_j exp(s[i,j])               -inf, and O[i,:] = 0, if query i sees no key
//
// After FlashAttention-3 (Shah et al., arXiv 2407.08608). Groups live as long as the kernel; each takes its items, a
// tile of queries of one head each, from a schedule that the host has balanced. Barriers in local memory say which
// slots of its rings are full and which are empty:
//
//   warpgroup 0   warp 0 streams Q, and tile after tile of K and V, into the rings; warp 1 sends O to global memory,
//                 from the slot in which its Q was; warp 2 writes the items that see no key.
//   others        64 queries each. S = Q K^T of the next tile, be it that of the next item, is issued before O += P V
//                 of this one, so that the matrix units work while the softmax is taken. S, P and O stay in registers.
//
// Tensors: Q[b, h, i, :], K[b, h / head_ratio, j, :], V likewise, through tensor maps (attention/maps.hopper.clh),
// whose addresses and strides are multiples of 16 bytes; O[b, h, i, :] and LSE[b, h, i] contiguous. Rows beyond a
// tensor read as zeros.
//
// Work-group (128 * (1 + CONSUMERS), 1, 1). Local memory: QUERY_SLOTS tiles of Q, STAGES tiles each of K and V, then
// barriers and what warp 0 tells the others about items and tiles. GROUPS_PER_UNIT groups share a multiprocessor.
//
// Tunables: see attention/tiles.hopper.clh.
//
// Preconditions: a block mask shows all 64 * CONSUMERS queries of an item the same blocks, be they one row of blocks or
// several full ones that are alike; key blocks are multiples of KEY_TILE; pattern words run along the keys of a query;
// what the mask hides is finite; lengths at most 2^30.
//
// Program parts: common/storage.clh, attention/common.clh, hopper/instructions.hopper.clh, attention/tiles.hopper.clh,
// attention/maps.hopper.clh, this file.
//
// Needs: ../hopper/instructions.hopper.clh
// Needs: tiles.hopper.clh
// Needs: maps.hopper.clh
// Check: -D MASK=1 -D HEAD_DIM=128 -D VALUE_DIM=128 -D CONSUMERS=3 -D KEY_TILE=80
// Check: -D MASK=2 -D HEAD_DIM=128 -D VALUE_DIM=128 -D KEY_TILE=128
// Check: -D MASK=2 -D HAS_PATTERNS=0 -D CONSUMERS=4

// Local memory, in bytes.
#define WARPGROUP_QUERIES (64 * HEAD_DIM * 2)
#define QUERY_BYTES (QUERY_TILE * HEAD_DIM * 2)
#define KEY_BYTES (KEY_TILE * HEAD_DIM * 2)
#define KEY_BASE (QUERY_SLOTS * QUERY_BYTES)
#define VALUE_BASE (KEY_BASE + STAGES * KEY_BYTES)
#define BARRIER_BASE (VALUE_BASE + STAGES * KEY_BYTES)
#define BARRIER(ring, slot) (base + BARRIER_BASE + 8 * ((ring) + (slot)))
#define QUERY_FULL(slot) BARRIER(0, slot)
#define QUERY_EMPTY(slot) BARRIER(QUERY_SLOTS, slot)
#define OUTPUT_FULL(slot) BARRIER(2 * QUERY_SLOTS, slot)
#define KEY_FULL(slot) BARRIER(3 * QUERY_SLOTS, slot)
#define KEY_EMPTY(slot) BARRIER(3 * QUERY_SLOTS + STAGES, slot)
#define VALUE_FULL(slot) BARRIER(3 * QUERY_SLOTS + 2 * STAGES, slot)
#define VALUE_EMPTY(slot) BARRIER(3 * QUERY_SLOTS + 3 * STAGES, slot)
#define BARRIERS (3 * QUERY_SLOTS + 4 * STAGES)
// Three words an item: tiles of keys (-1: no item comes any more), first query, number of the head in the batch.
#define ITEM_WORD(slot, word) (BARRIER(BARRIERS, 0) + 16 * (slot) + 4 * (word))
// Three words a tile of a block mask: first key, pattern or -1, place of the first key in its block.
#define TILE_WORD(slot, word) (ITEM_WORD(QUERY_SLOTS + (slot), word))
#define LOCAL_BYTES (BARRIER_BASE + 8 * BARRIERS + 16 * (QUERY_SLOTS + STAGES))

// A place in a ring of slots, with the parity of its round.
typedef struct {
  int slot;
  uint phase;
} ring_t;

static inline void advance(ring_t *ring, const int slots)
{
  if (++ring->slot == slots) {
    ring->slot = 0;
    ring->phase ^= 1;
  }
}

#if MASK == MASK_BLOCKS && HAS_PATTERNS
#define PATTERN_PARAMETERS , __global const uint *pattern_words, const int query_block, const int key_block
#define PATTERN_ARGUMENTS , pattern_words, query_block, key_block
#else
#define PATTERN_PARAMETERS
#define PATTERN_ARGUMENTS
#endif

// An item as a computing warpgroup sees it.
typedef struct {
  int slot;
  int tiles;        // of keys; -1: there is no item any more
  int limit[2];     // the first key that the work-item's rows do not see, as far as no block mask says
  int least_limit;  // the same of the warpgroup's first row
  int cut_tiles;    // the first tiles, in which keys may have to be hidden
} item_t;

static inline item_t take_item(const uint base, ring_t *queries, const int warpgroup, const int row,
                               const int query_length, const int key_length)
{
  item_t at;
  barrier_wait(QUERY_FULL(queries->slot), queries->phase);
  at.slot = queries->slot;
  at.tiles = load_local(ITEM_WORD(at.slot, 0));
  at.limit[0] = at.limit[1] = at.least_limit = key_length;
#if MASK == MASK_CAUSAL
  const int beyond = load_local(ITEM_WORD(at.slot, 1)) + key_length - query_length + 1;
  at.limit[0] = min(key_length, beyond + row);
  at.limit[1] = min(key_length, beyond + row + 8);
  at.least_limit = min(key_length, beyond + warpgroup * 64);
  at.cut_tiles = at.tiles - max(at.least_limit, 0) / KEY_TILE;
#elif MASK == MASK_BLOCKS
  at.cut_tiles = at.tiles;
#else
  at.cut_tiles = 1;
#endif
  advance(queries, QUERY_SLOTS);
  return at;
}

// What hides keys of a tile.
typedef struct {
  int first_key;
  int pattern;
  uint words[2][KEY_TILE / 32];  // bits of the work-item's rows, from its first column on
} tile_t;

static inline tile_t read_tile(const uint base, const item_t *at, const int step, const int key_slot,
                               const int row, const int first_column PATTERN_PARAMETERS)
{
  tile_t tile;
  tile.pattern = -1;
#if MASK == MASK_BLOCKS
  tile.first_key = load_local(TILE_WORD(key_slot, 0));
#if HAS_PATTERNS
  tile.pattern = load_local(TILE_WORD(key_slot, 1));
  if (tile.pattern >= 0) {
    const int pitch = CEIL_DIV(key_block, 32);
    const int row_in_block = load_local(ITEM_WORD(at->slot, 1)) % query_block + row;
    __global const uint *bits = pattern_words + ((ulong)tile.pattern * query_block + row_in_block) * pitch +
                                load_local(TILE_WORD(key_slot, 2)) / 32;
#pragma unroll
    for (int k = 0; k < KEY_TILE / 32; ++k) {
      tile.words[0][k] = bits[k] >> first_column;
      tile.words[1][k] = bits[8 * pitch + k] >> first_column;
    }
  }
#endif
#else
  // From the last tile, which may be ragged or cut by the diagonal, to the first.
  tile.first_key = (at->tiles - 1 - step) * KEY_TILE;
#endif
  return tile;
}

static inline void hide(float scores[SCORES], const tile_t *tile, const item_t *at, const int first_column)
{
#if MASK == MASK_BLOCKS && HAS_PATTERNS
  if (tile->pattern >= 0)
    hide_unset(scores, tile->words);
#endif
  if (tile->first_key + KEY_TILE > at->least_limit) {
    const int limit[2] = {at->limit[0] - tile->first_key - first_column, at->limit[1] - tile->first_key - first_column};
    hide_from(scores, limit);
  }
}

// Hands O and LSE of one item over, from the sums of a warpgroup; O through the slot of the item's queries.
static inline void finish_item(const uint base, const int slot, const int warpgroup, const float outputs[OUTPUTS],
                               const softmax_t *rows, const float scale, __global float *lse,
                               const int query_length)
{
  const int item = (int)get_local_id(0) & 127;
  const int row = item / 32 * 16 + item % 32 / 4;
  float inverse[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    float total = rows->sum[r] + from_lane_xor(rows->sum[r], 1);
    total += from_lane_xor(total, 2);
    inverse[r] = total == 0.0f ? 0.0f : 1.0f / total;
    if (lse && item % 4 == 0) {
      const int query = load_local(ITEM_WORD(slot, 1)) + warpgroup * 64 + row + 8 * r;
      const ulong head = (ulong)load_local(ITEM_WORD(slot, 2));
      if (query < query_length)
        lse[head * query_length + query] = (rows->maximum[r] * scale + fast_log2(total)) * LN_2;
    }
  }
  const uint place = base + slot * QUERY_BYTES + warpgroup * WARPGROUP_QUERIES + row * 128 + item % 4 * 4;
  // Until all four warps are here, one may still multiply queries of this slot.
  MEET(1 + warpgroup, 128);
#pragma unroll
  for (int j = 0; j < OUTPUTS / 4; ++j) {
    const uint chunk = place + j / 8 * (64 * 128) + ((j % 8 ^ row % 8) << 4);
    store_local(chunk, packed(outputs[4 * j] * inverse[0], outputs[4 * j + 1] * inverse[0]));
    store_local(chunk + 8 * 128, packed(outputs[4 * j + 2] * inverse[1], outputs[4 * j + 3] * inverse[1]));
  }
  FENCE_ASYNC();
  barrier_arrive(OUTPUT_FULL(slot));
}

__kernel __attribute__((reqd_work_group_size(WORK_ITEMS, 1, 1)))
void tilecl_attention_forward_hopper(
    __global const uchar *maps, __global storage_t *output, __global float *lse,
    __global const int *schedule,  // where each group's items begin, where the empty ones do, the end; then the items
    const int query_length, const int key_length, const int query_heads, const int head_ratio, const int query_tiles,
    const float scale  // of exponents of 2
    MASK_PARAMETERS)
{
  GROUPS_AT_ONCE(GROUPS_PER_UNIT);
  __local uchar memory[LOCAL_BYTES] __attribute__((aligned(1024)));
  const uint base = LOCAL_ADDRESS(memory);
  const ulong map = (ulong)maps;
  const int thread = (int)get_local_id(0);
  // The same in a whole warp, which the compiler has to know.
  const int warp = (int)from_first_lane((uint)thread / 32);
  const int warpgroup = warp / 4 - 1;
  const int group = (int)get_group_id(0);
  const int groups = (int)get_num_groups(0);
  __global const int *items = schedule + groups + 2;

  if (thread == 0) {
    for (int i = 0; i < QUERY_SLOTS; ++i) {
      barrier_init(QUERY_FULL(i), 1);
      barrier_init(QUERY_EMPTY(i), 1);
      barrier_init(OUTPUT_FULL(i), 128 * CONSUMERS);
    }
    for (int i = 0; i < STAGES; ++i) {
      barrier_init(KEY_FULL(i), 1);
      barrier_init(VALUE_FULL(i), 1);
      barrier_init(KEY_EMPTY(i), 4 * CONSUMERS);
      barrier_init(VALUE_EMPTY(i), 4 * CONSUMERS);
    }
    FENCE_BARRIERS();
    FENCE_ASYNC();
  }
  barrier(CLK_LOCAL_MEM_FENCE);

  ring_t queries = {0, 0};
  ring_t keys = {0, 0};
  ring_t values = {0, 0};
  if (warpgroup < 0) {
    GIVE_REGISTERS(COPYING_REGISTERS);
    if (thread == 0) {
      acquire_map(map);
      acquire_map(map + 128);
      acquire_map(map + 256);
      // Values come one tile behind the keys, as they are needed.
      int value_row = -1;
      int value_head = 0;
      int value_batch = 0;
#define COPY_VALUES()                                                                                     \
  if (value_row >= 0) {                                                                                   \
    barrier_wait(VALUE_EMPTY(values.slot), values.phase ^ 1);                                             \
    barrier_expect(VALUE_FULL(values.slot), KEY_BYTES);                                                   \
    load_tile(base + VALUE_BASE + values.slot * KEY_BYTES, map + 256, value_row, value_head, value_batch, \
              VALUE_FULL(values.slot));                                                                   \
    advance(&values, STAGES);                                                                             \
  }
      for (int i = schedule[group]; i < schedule[group + 1]; ++i) {
        const int head_number = items[i] / query_tiles;
        const int batch = head_number / query_heads;
        const int head = head_number % query_heads;
        const int kv_head = head / head_ratio;
        const int first_query = items[i] % query_tiles * QUERY_TILE;
#if MASK == MASK_BLOCKS
        const int block_row = MASK_ROW(batch, head) + first_query / query_block;
        int entry = row_offsets[block_row];
        int key_in_block = 0;
        const int tiles = (row_offsets[block_row + 1] - entry) * (key_block / KEY_TILE);
#elif MASK == MASK_CAUSAL
        const int key_end = min(first_query + QUERY_TILE, query_length) + key_length - query_length;
        const int tiles = CEIL_DIV(key_end, KEY_TILE);
#else
        const int tiles = CEIL_DIV(key_length, KEY_TILE);
#endif
        barrier_wait(QUERY_EMPTY(queries.slot), queries.phase ^ 1);
        store_local(ITEM_WORD(queries.slot, 0), tiles);
        store_local(ITEM_WORD(queries.slot, 1), first_query);
        store_local(ITEM_WORD(queries.slot, 2), head_number);
        barrier_expect(QUERY_FULL(queries.slot), QUERY_BYTES);
#pragma unroll
        for (int w = 0; w < CONSUMERS; ++w)
          load_tile(base + queries.slot * QUERY_BYTES + w * WARPGROUP_QUERIES, map, first_query + w * 64, head, batch,
                    QUERY_FULL(queries.slot));
        advance(&queries, QUERY_SLOTS);
        for (int j = 0; j < tiles; ++j) {
          barrier_wait(KEY_EMPTY(keys.slot), keys.phase ^ 1);
#if MASK == MASK_BLOCKS
          const int first_key = columns[entry] * key_block + key_in_block;
          store_local(TILE_WORD(keys.slot, 0), first_key);
#if HAS_PATTERNS
          store_local(TILE_WORD(keys.slot, 1), patterns[entry]);
          store_local(TILE_WORD(keys.slot, 2), key_in_block);
#endif
          key_in_block += KEY_TILE;
          if (key_in_block == key_block) {
            key_in_block = 0;
            ++entry;
          }
#else
          const int first_key = (tiles - 1 - j) * KEY_TILE;
#endif
          barrier_expect(KEY_FULL(keys.slot), KEY_BYTES);
          load_tile(base + KEY_BASE + keys.slot * KEY_BYTES, map + 128, first_key, kv_head, batch,
                    KEY_FULL(keys.slot));
          advance(&keys, STAGES);
          COPY_VALUES();
          value_row = first_key;
          value_head = kv_head;
          value_batch = batch;
        }
      }
      COPY_VALUES();
      barrier_wait(QUERY_EMPTY(queries.slot), queries.phase ^ 1);
      store_local(ITEM_WORD(queries.slot, 0), -1);
      barrier_arrive(QUERY_FULL(queries.slot));
    } else if (thread == 32) {
      acquire_map(map + 384);
      for (int i = schedule[group]; i < schedule[group + 1]; ++i) {
        barrier_wait(OUTPUT_FULL(queries.slot), queries.phase);
        const int first_query = load_local(ITEM_WORD(queries.slot, 1));
        const int head_number = load_local(ITEM_WORD(queries.slot, 2));
#pragma unroll
        for (int w = 0; w < CONSUMERS; ++w)
          store_tile(map + 384, first_query + w * 64, head_number, 0,
                     base + queries.slot * QUERY_BYTES + w * WARPGROUP_QUERIES);
        WAIT_STORES_READ();
        barrier_arrive(QUERY_EMPTY(queries.slot));
        advance(&queries, QUERY_SLOTS);
      }
    } else if (warp == 2) {
      for (int i = schedule[groups] + group; i < schedule[groups + 1]; i += groups) {
        const int first_query = items[i] % query_tiles * QUERY_TILE;
        const ulong first_row = (ulong)(items[i] / query_tiles) * query_length + first_query;
        const int rows = min(QUERY_TILE, query_length - first_query);
        __global uint *words = (__global uint *)(output + first_row * VALUE_DIM);
        for (int w = thread % 32; w < rows * (VALUE_DIM / 2); w += 32)
          words[w] = 0;
        for (int r = thread % 32; lse && r < rows; r += 32)
          lse[first_row + r] = -INFINITY;
      }
    }
  } else {
    TAKE_REGISTERS(COMPUTING_REGISTERS);
    const int item = thread & 127;
    const int first_column = 2 * (item % 4);
    const int row = warpgroup * 64 + item / 32 * 16 + item % 32 / 4;
    const ulong query_matrix = matrix(base + warpgroup * WARPGROUP_QUERIES, 16);
    const ulong key_matrix = matrix(base + KEY_BASE, 16);
    const ulong value_matrix = matrix(base + VALUE_BASE, KEY_TILE * 128);
    float scores[SCORES];
    float outputs[OUTPUTS];
    uint weights[WEIGHTS];
    float shrink[2];
    softmax_t rows;
    ring_t next_values;  // the slot that was of the keys at hand
    start_softmax(&rows);

#define TAKE_ITEM() take_item(base, &queries, warpgroup, row, query_length, key_length)
#define START_SCORES()                                                           \
  barrier_wait(KEY_FULL(keys.slot), keys.phase);                                 \
  start_scores(scores, query_matrix + MATRIX_STEP(at.slot * QUERY_BYTES),        \
               key_matrix + MATRIX_STEP(keys.slot * KEY_BYTES))
#define START_OUTPUTS()                                          \
  barrier_wait(VALUE_FULL(values.slot), values.phase);           \
  start_outputs(outputs, weights, value_matrix + MATRIX_STEP(values.slot * KEY_BYTES))
#define READ_TILE(step) read_tile(base, &at, step, keys.slot, row, first_column PATTERN_ARGUMENTS)
#define AWAIT_SCORES(pending)              \
  WAIT_PRODUCT(pending);                   \
  SETTLE_SCORES(scores);                   \
  if (item % 32 == 0)                      \
    barrier_arrive(KEY_EMPTY(keys.slot));  \
  next_values = keys;                      \
  advance(&keys, STAGES)
#define AWAIT_OUTPUTS()                       \
  WAIT_PRODUCT(0);                            \
  SETTLE_OUTPUTS(outputs);                    \
  if (item % 32 == 0)                         \
    barrier_arrive(VALUE_EMPTY(values.slot))
#define FINISH_ITEM(slot) finish_item(base, slot, warpgroup, outputs, &rows, scale, lse, query_length)

// Scores of one tile, and the sums of the one before.
#define COMPUTE_TILE(is_cut)                                       \
  START_SCORES();                                                  \
  START_OUTPUTS();                                                 \
  const tile_t tile = READ_TILE(step);                             \
  AWAIT_SCORES(1);                                                 \
  if (is_cut)                                                      \
    hide(scores, &tile, &at, first_column);                        \
  const uint grows = weigh(scores, &rows, shrink, scale);          \
  AWAIT_OUTPUTS();                                                 \
  values = next_values;                                            \
  pack(weights, scores);                                           \
  if (grows) {                                                     \
    _Pragma("unroll") for (int i = 0; i < OUTPUTS; ++i)            \
      outputs[i] *= shrink[i / 2 % 2];                             \
  }

    item_t at = TAKE_ITEM();
    if (at.tiles > 0) {
      {
        START_SCORES();
        const tile_t tile = READ_TILE(0);
        AWAIT_SCORES(0);
        values = next_values;
        hide(scores, &tile, &at, first_column);
        weigh(scores, &rows, shrink, scale);
        pack(weights, scores);
      }
      while (true) {
#pragma unroll
        for (int i = 0; i < OUTPUTS; ++i)
          outputs[i] = 0.0f;
        int step = 1;
        for (; step < at.cut_tiles; ++step) {
          COMPUTE_TILE(true);
        }
        for (; step < at.tiles; ++step) {
          COMPUTE_TILE(false);
        }
        // The last weights of this item meet the first scores of the next.
        const int finished = at.slot;
        at = TAKE_ITEM();
        if (at.tiles < 0) {
          START_OUTPUTS();
          AWAIT_OUTPUTS();
          FINISH_ITEM(finished);
          break;
        }
        START_SCORES();
        START_OUTPUTS();
        const tile_t tile = READ_TILE(0);
        AWAIT_SCORES(1);
        hide(scores, &tile, &at, first_column);
        softmax_t next_rows;
        start_softmax(&next_rows);
        weigh(scores, &next_rows, shrink, scale);
        AWAIT_OUTPUTS();
        values = next_values;
        pack(weights, scores);
        FINISH_ITEM(finished);
        rows = next_rows;
      }
    }
  }
}
