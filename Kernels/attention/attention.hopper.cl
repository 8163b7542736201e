// Scaled dot-product attention, forward, for NVIDIA Hopper: fp16 and bf16, D and Dv multiples of 8 up to 256.
//
//   O[i,:] = sum_j keep[i,j] exp(s[i,j] - LSE[i]) V[j,:]     for each visible pair (i, j)
//   LSE[i] = ln(sum_j exp(s[i,j]) + exp(sink))               -inf, and O[i,:] = 0, if query i sees no key
//
// with the scores s of scores.clh and scale > 0; keep is 1 without dropout, else 0 or 1 / (1 - p).
//
// After FlashAttention-3 (Shah et al., arXiv 2407.08608). Groups live as long as the kernel; each takes its items, a
// tile of queries of one head each, from a schedule that the host has balanced. Barriers in local memory say which
// slots of its rings are full and which are empty:
//
//   warpgroup 0   copies: see attention/copies.hopper.clh.
//   others        64 queries each. S = Q K^T of the next tile, be it that of the next item, is issued before O += P V
//                 of this one, so that the matrix units work while the softmax is taken. S, P and O stay in registers,
//                 until O leaves through the slot in which its Q was.
//
// Tensors: Q[b, h, i, :], K[b, h / head_ratio, j, :], V likewise, whose addresses and strides are multiples of 16
// bytes; O[b, h, i, :] and LSE[b, h, i] contiguous. Without a token order Q, K, V and O go through tensor maps
// (attention/maps.hopper.clh).
//
// Work-group (128 * (1 + CONSUMERS), 1, 1). Local memory: QUERY_SLOTS tiles of Q, STAGES tiles each of K and V, then
// barriers, what warps say to each other about items and tiles and, with an order, the rows of the queries.
// GROUPS_PER_UNIT groups share a multiprocessor.
//
// Tunables: see attention/tiles.hopper.clh.
//
// Preconditions: what the mask hides is finite; lengths at most 2^30; KEY_TILE is 64 or 128 under a block mask.
//
// Program parts: common/storage.clh, user code if there is any, attention/common.clh, attention/scores.clh,
// hopper/instructions.hopper.clh, attention/tiles.hopper.clh, attention/scores.hopper.clh, attention/maps.hopper.clh,
// attention/copies.hopper.clh, this file.
//
// Needs: scores.clh
// Needs: ../hopper/instructions.hopper.clh
// Needs: tiles.hopper.clh
// Needs: ../nvidia/tanh.nvidia.clh
// Needs: scores.hopper.clh
// Needs: maps.hopper.clh
// Needs: copies.hopper.clh
// Check: -D MASK=1 -D HEAD_DIM=128 -D VALUE_DIM=128 -D CONSUMERS=3 -D KEY_TILE=80
// Check: -D MASK=2 -D HEAD_DIM=128 -D VALUE_DIM=128 -D KEY_TILE=128
// Check: -D MASK=2 -D HAS_PATTERNS=0 -D CONSUMERS=4
// Check: -D MASK=2 -D HAS_ORDER=1 -D CONSUMERS=4
// Check: -D HEAD_DIM=128 -D VALUE_DIM=128 -D HAS_ORDER=1 -D CONSUMERS=3 -D KEY_TILE=80
// Check: -D SOFTCAP=1 -D ALIBI=1 -D SINKS=1
// Check: -D MASK=2 -D BIAS=1 -D RELATIVE=1 -D DROPOUT=1 -D HAS_ORDER=1
// Check: -D HEAD_DIM=256 -D VALUE_DIM=256 -D KEY_TILE=80 -D QUERY_SLOTS=1
// Check: -D HEAD_DIM=80 -D VALUE_DIM=192 -D KEY_TILE=112 -D QUERY_SLOTS=1 -D HAS_ORDER=1

// An item as a computing warpgroup sees it.
typedef struct {
  int slot;
  int tiles;        // of keys; -1: there is no item any more
  int limit[2];     // the first key that the work-item's rows do not see, as far as no block mask says
  int least_limit;  // the same of the warpgroup's first row
  int cut_tiles;    // the first tiles, in which keys may have to be hidden
#if SCORED
  int position[2];  // of the work-item's rows, or of the last query where these lie beyond
  int first_own;    // key at the position of the warpgroup's first row
  score_t score;
#endif
#if SINKS
  float sink;
#endif
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
  at.cut_tiles = load_local(ITEM_WORD(at.slot, 3));
#else
  at.cut_tiles = 1;
#endif
#if SCORED
  const int first_query = load_local(ITEM_WORD(at.slot, 1));
  at.first_own = first_query + warpgroup * 64 + key_length - query_length;
#pragma unroll
  for (int r = 0; r < 2; ++r)
    at.position[r] = min(first_query + row + 8 * r, query_length - 1);
#if USER_CODE
  // It sees visible pairs alone, of which rows beyond the last query have none.
  if (first_query + warpgroup * 64 + 64 > query_length) {
#pragma unroll
    for (int r = 0; r < 2; ++r)
      at.limit[r] = first_query + row + 8 * r < query_length ? at.limit[r] : 0;
    at.least_limit = 0;
    at.cut_tiles = at.tiles;
  }
#endif
#endif
  advance(queries, QUERY_SLOTS);
  return at;
}

// What hides keys of a tile.
typedef struct {
  int first_key;
  uint words[2][KEY_TILE / 32];  // bits of the work-item's rows, from its first column on
} tile_t;

#if MASK == MASK_BLOCKS && HAS_PATTERNS
#if KEY_TILE == 64
typedef uint2 piece_row_t;
#else
typedef uint4 piece_row_t;
#endif
#define PIECE_PARAMETER , __global const uint *pieces
#define PIECE_ARGUMENT , pieces
#else
#define PIECE_PARAMETER
#define PIECE_ARGUMENT
#endif

static inline tile_t read_tile(const uint base, const item_t *at, const int step, const int key_slot,
                               const int warpgroup, const int row, const int first_column,
                               const bool is_cut PIECE_PARAMETER)
{
  tile_t tile;
#if MASK != MASK_BLOCKS
  // From the last tile, which may be ragged or cut by the diagonal, to the first.
  tile.first_key = (at->tiles - 1 - step) * KEY_TILE;
#else
  tile.first_key = load_local(TILE_WORD(key_slot, 0));
#if HAS_PATTERNS
  if (!is_cut)
    return tile;
  // Every tile has a piece, even one that hides nothing: a branch would end the overlap of products.
  const int piece = load_local(TILE_WORD(key_slot, 1 + warpgroup));
  __global const piece_row_t *bits = (__global const piece_row_t *)pieces + (ulong)piece * 64 + row % 64;
  const piece_row_t rows[2] = {bits[0], bits[8]};
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    tile.words[r][0] = rows[r].x >> first_column;
    tile.words[r][1] = rows[r].y >> first_column;
#if KEY_TILE == 128
    tile.words[r][2] = rows[r].z >> first_column;
    tile.words[r][3] = rows[r].w >> first_column;
#endif
  }
#endif
#endif
  return tile;
}

static inline void hide(float scores[SCORES], const tile_t *tile, const item_t *at, const int first_column)
{
#if MASK != MASK_BLOCKS
  if (tile->first_key + KEY_TILE > at->least_limit) {
    const int limit[2] = {at->limit[0] - tile->first_key - first_column, at->limit[1] - tile->first_key - first_column};
    hide_from(scores, limit);
  }
#elif HAS_PATTERNS
  hide_unset(scores, tile->words);
#endif
}

#if LANEWISE || DROPOUT
static inline pair_tile_t pair_tile(const tile_t *tile, const item_t *at, const int first_column,
                                    const bool is_cut ORDER_PARAMETER)
{
  pair_tile_t pairs;
  pairs.query = (ivec_t)(at->position[0], at->position[0], at->position[1], at->position[1]);
  pairs.query_row = memory_rows(pairs.query ORDER);
  pairs.first_key = tile->first_key + first_column;
  pairs.last_key = at->score.key_length - 1;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    pairs.limit[r] = at->limit[r] - pairs.first_key;
#pragma unroll
    for (int k = 0; k < CEIL_DIV(KEY_TILE, 32); ++k) {
      pairs.words[r][k] = ~0u;
#if MASK == MASK_BLOCKS && HAS_PATTERNS
      if (is_cut)
        pairs.words[r][k] = tile->words[r][k];
#endif
    }
  }
  return pairs;
}
#endif

#if MODIFIED
// Makes scores of products; a tile that is cut may have pairs that are hidden, or lie beyond the last key.
static inline void modify(float scores[SCORES], float offset[2], const tile_t *tile, const item_t *at,
                          const int first_column, const bool is_cut ORDER_PARAMETER)
{
#if LANEWISE
  const pair_tile_t pairs = pair_tile(tile, at, first_column, is_cut ORDER);
  modify_pairs(scores, &pairs, is_cut, &at->score ORDER);
#else
#if SOFTCAP
  cap_scores(scores, at->score.scale / at->score.softcap);
#endif
#if ALIBI
  const int first_ahead = tile->first_key - at->first_own;
#if MASK == MASK_CAUSAL
  const int side = KEYS_BEFORE;
#else
  const int side = first_ahead >= 63              ? KEYS_BEHIND
                   : first_ahead + KEY_TILE <= 1 ? KEYS_BEFORE
                                                 : KEYS_AROUND;
#endif
  const int own = at->score.query_length - at->score.key_length + tile->first_key + first_column;
  const int ahead[2] = {own - at->position[0], own - at->position[1]};
  slope_scores(scores, offset, side, ahead, at->score.slope / at->score.scale);
#endif
#endif
}
#endif

// Hands O and LSE of one item over, from the sums of a warpgroup; O through the slot of the item's queries.
static inline void finish_item(const uint base, const int slot, const int warpgroup, const float outputs[OUTPUTS],
                               const softmax_t *rows, const float exponent, __global float *lse,
                               const int query_length)
{
  const int item = (int)get_local_id(0) & 127;
  const int row = item / 32 * 16 + item % 32 / 4;
  float total[2];
  float inverse[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    total[r] = rows->sum[r] + from_lane_xor(rows->sum[r], 1);
    total[r] += from_lane_xor(total[r], 2);
    inverse[r] = total[r] == 0.0f ? 0.0f : fast_reciprocal(total[r]);
  }
  if (lse && item % 4 == 0) {
    __global float *lse_of_head = lse + (ulong)load_local(ITEM_WORD(slot, 2)) * query_length;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
#if HAS_ORDER
      const int query = load_local(ROW_WORD(slot, warpgroup * 64 + row + 8 * r));
#else
      const int query = load_local(ITEM_WORD(slot, 1)) + warpgroup * 64 + row + 8 * r;
#endif
      if (query >= 0 && query < query_length)
        lse_of_head[query] = (rows->maximum[r] * exponent + fast_log2(total[r])) * LN_2;
    }
  }
  // Tiles begin at multiples of 1024, so the swizzle of a chunk's number is one of its address.
  const uint place =
      base + slot * QUERY_BYTES + warpgroup * WARPGROUP_QUERIES + row * 128 + row % 8 * 16 + item % 4 * 4;
  // Until all four warps are here, one may still multiply queries of this slot.
  MEET(1 + warpgroup, 128);
#pragma unroll
  for (int j = 0; j < OUTPUTS / 4; ++j) {
    const uint chunk = (place ^ (j % 8 << 4)) + j / 8 * (64 * 128);
    store_local(chunk, packed(outputs[4 * j] * inverse[0], outputs[4 * j + 1] * inverse[0]));
    store_local(chunk + 8 * 128, packed(outputs[4 * j + 2] * inverse[1], outputs[4 * j + 3] * inverse[1]));
  }
  FENCE_ASYNC();
  barrier_arrive(OUTPUT_FULL(slot));
}

__kernel __attribute__((reqd_work_group_size(WORK_ITEMS, 1, 1)))
void tilecl_attention_forward_hopper(
    SOURCE_PARAMETERS, __global storage_t *output, __global float *lse,
    __global const int *schedule,  // where each group's items begin, where the empty ones do, the end; then the items
    const int query_length, const int key_length, const int query_heads, const int head_ratio,
    const int query_tiles STEP_PARAMETERS ORDER_PARAMETER SCORE_PARAMETERS SINK_PARAMETERS)
{
  GROUPS_AT_ONCE(GROUPS_PER_UNIT);
  __local uchar memory[LOCAL_BYTES] __attribute__((aligned(1024)));
  const uint base = LOCAL_ADDRESS(memory);
  const int thread = (int)get_local_id(0);
  // The same in a whole warp, which the compiler has to know.
  const int warp = (int)from_first_lane((uint)thread / 32);
  const int warpgroup = warp / 4 - 1;
  const int group = (int)get_group_id(0);
  const int groups = (int)get_num_groups(0);
  __global const int *items = schedule + groups + 2;

  if (thread == 0) {
    for (int i = 0; i < QUERY_SLOTS; ++i) {
      barrier_init(QUERY_FULL(i), FULL_ARRIVALS);
      barrier_init(QUERY_EMPTY(i), 1);
      barrier_init(OUTPUT_FULL(i), 128 * CONSUMERS);
    }
    for (int i = 0; i < STAGES; ++i) {
      barrier_init(KEY_FULL(i), FULL_ARRIVALS);
      barrier_init(VALUE_FULL(i), FULL_ARRIVALS);
      barrier_init(KEY_EMPTY(i), 4 * CONSUMERS);
      barrier_init(VALUE_EMPTY(i), 4 * CONSUMERS);
    }
    FENCE_BARRIERS();
    FENCE_ASYNC();
  }
  barrier(CLK_LOCAL_MEM_FENCE);

  if (warpgroup < 0) {
    GIVE_REGISTERS(COPYING_REGISTERS);
    const int first = schedule[group];
    const int count = schedule[group + 1] - first;
    // Tensor copies are one work-item's, gathering is a warp's.
    if (HAS_ORDER || thread % 32 == 0) {
      if (warp == 0) {
        const source_t source = SOURCE(key, 1, key_length);
        stream_tiles(true, base, &source, items + first, count, query_length, key_length, query_heads, head_ratio,
                     query_tiles STEPS);
      } else if (warp == 1) {
        const source_t source = SOURCE(value, 2, key_length);
        stream_tiles(false, base, &source, items + first, count, query_length, key_length, query_heads, head_ratio,
                     query_tiles STEPS);
      } else if (warp == 2) {
        const source_t source = SOURCE(query, 0, query_length);
        stream_queries(base, &source, items + first, count, query_length, key_length, query_heads,
                       query_tiles STEPS);
      } else {
        store_outputs(base, output, OUTPUT_MAP, count, query_length);
      }
    }
    if (warp == 3) {
      for (int i = schedule[groups] + group; i < schedule[groups + 1]; i += groups)
        clear_item(items[i], output, lse, query_length, query_heads, query_tiles ORDER SINK_ARGUMENTS);
    }
  } else {
    TAKE_REGISTERS(COMPUTING_REGISTERS);
    ring_t queries = {0, 0};
    ring_t keys = {0, 0};
    ring_t values = {0, 0};
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
    float offset[2] = {0.0f, 0.0f};
    softmax_t rows;
    ring_t next_values;  // the slot that was of the keys at hand
    const float exponent = SCORE_UNIT * M_LOG2E_F;  // that of 2, for each unit of a score

#define TAKE_ITEM(at)                                                               \
  at = take_item(base, &queries, warpgroup, row, query_length, key_length);         \
  SCORE_ITEM(at)
#if SCORED || SINKS
#define SCORE_ITEM(at)                                                              \
  if (at.tiles > 0) {                                                               \
    const int head_number = load_local(ITEM_WORD(at.slot, 2));                      \
    const int batch = head_number / query_heads;                                    \
    const int head = head_number % query_heads;                                     \
    SCORE_STATE_OF(at)                                                              \
    SINK_OF(at)                                                                     \
  }
#else
#define SCORE_ITEM(at)
#endif
#if SCORED
#define SCORE_STATE_OF(at)                                                          \
    const score_t score = SCORE_STATE(batch, head, head_number, query_length, key_length); \
    at.score = score;
#else
#define SCORE_STATE_OF(at)
#endif
#if SINKS
#define SINK_OF(at) at.sink = SINK(head) / SCORE_UNIT;
#define START_SOFTMAX(rows) start_softmax(rows, at.sink, exponent)
#else
#define SINK_OF(at)
#define START_SOFTMAX(rows) start_softmax(rows, -INFINITY, exponent)
#endif
#if SOFTCAP && !ALIBI && !LANEWISE
#define WEIGH(rows, is_cut)                                                                     \
  is_cut ? weigh(scores, rows, shrink, exponent, offset)                                        \
         : weigh_capped(scores, rows, shrink, exponent, at.score.scale / at.score.softcap)
#define MODIFY(is_cut) \
  if (is_cut)          \
  modify(scores, offset, &tile, &at, first_column, is_cut ORDER)
#else
#define WEIGH(rows, is_cut) weigh(scores, rows, shrink, exponent, offset)
#if MODIFIED
#define MODIFY(is_cut) modify(scores, offset, &tile, &at, first_column, is_cut ORDER)
#else
#define MODIFY(is_cut)
#endif
#endif
#if DROPOUT
#define DROP_WEIGHTS(is_cut)                                                     \
  {                                                                              \
    const pair_tile_t pairs = pair_tile(&tile, &at, first_column, is_cut ORDER); \
    drop_weights(scores, &pairs, is_cut, &at.score ORDER);                       \
  }
#else
#define DROP_WEIGHTS(is_cut)
#endif
#if ORDERED
    // In turns, the products of one warpgroup run while the others take their softmax; at once, all would wait for all.
#define AWAIT_TURN() MEET(8 + warpgroup, 256)
#define PASS_TURN() ARRIVE(8 + (warpgroup + 1) % CONSUMERS, 256)
    if (warpgroup == CONSUMERS - 1)
      PASS_TURN();
#else
#define AWAIT_TURN()
#define PASS_TURN()
#endif
#if HAS_ORDER
// A fence while products run would wait for them, so one serves the keys and the values of the products that follow.
#define AWAIT_GATHERED(follows)                                \
  if (follows)                                                 \
    barrier_wait(VALUE_FULL(values.slot), values.phase);       \
  FENCE_ASYNC()
#else
#define AWAIT_GATHERED(follows)
#endif
#define START_SCORES(follows)                                                    \
  barrier_wait(KEY_FULL(keys.slot), keys.phase);                                 \
  AWAIT_GATHERED(follows);                                                       \
  AWAIT_TURN();                                                                  \
  start_scores(scores, query_matrix + MATRIX_STEP(at.slot * QUERY_BYTES),        \
               key_matrix + MATRIX_STEP(keys.slot * KEY_BYTES))
#define START_OUTPUTS()                                          \
  barrier_wait(VALUE_FULL(values.slot), values.phase);           \
  start_outputs(outputs, weights, value_matrix + MATRIX_STEP(values.slot * VALUE_BYTES))
#define READ_TILE(step, is_cut) \
  read_tile(base, &at, step, keys.slot, warpgroup, row, first_column, is_cut PIECE_ARGUMENT)
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
#define FINISH_ITEM(slot) finish_item(base, slot, warpgroup, outputs, &rows, exponent, lse, query_length)
#if SKIPS_TILES
// A tile that the warpgroup's queries do not see costs it a turn. Its slots may be given back before that of the values
// that are still to be multiplied, since no product is under way here and the host bounds how many tiles are skipped.
#define SKIP_HIDDEN_TILE()                                        \
  barrier_wait(KEY_FULL(keys.slot), keys.phase);                  \
  if (load_local(TILE_WORD(keys.slot, 1 + warpgroup)) < 0) {      \
    AWAIT_TURN();                                                 \
    PASS_TURN();                                                  \
    barrier_wait(VALUE_FULL(keys.slot), keys.phase);              \
    if (item % 32 == 0) {                                         \
      barrier_arrive(KEY_EMPTY(keys.slot));                       \
      barrier_arrive(VALUE_EMPTY(keys.slot));                     \
    }                                                             \
    advance(&keys, STAGES);                                       \
    continue;                                                     \
  }
#else
#define SKIP_HIDDEN_TILE()
#endif

// Scores of one tile, and the sums of the one before.
#define COMPUTE_TILE(is_cut)                                       \
  START_SCORES(true);                                              \
  START_OUTPUTS();                                                 \
  PASS_TURN();                                                     \
  tile_t tile;                                                     \
  if (is_cut || SCORED)                                            \
    tile = READ_TILE(step, is_cut);                                \
  AWAIT_SCORES(1);                                                 \
  MODIFY(is_cut);                                                  \
  if (is_cut)                                                      \
    hide(scores, &tile, &at, first_column);                        \
  const uint grows = WEIGH(&rows, is_cut);                         \
  DROP_WEIGHTS(is_cut);                                            \
  AWAIT_OUTPUTS();                                                 \
  values = next_values;                                            \
  pack(weights, scores);                                           \
  if (grows) {                                                     \
    _Pragma("unroll") for (int i = 0; i < OUTPUTS; ++i)            \
      outputs[i] *= shrink[i / 2 % 2];                             \
  }

// Whether the end of an item and the start of the next are one. Code for pairs, which may be long, then stood there
// once more.
#define OVERLAPS_ITEMS (QUERY_SLOTS > 1 && !LANEWISE)

    item_t at;
    TAKE_ITEM(at);
#if !OVERLAPS_ITEMS
    while (at.tiles > 0)
#else
    if (at.tiles > 0)
#endif
    {
      START_SOFTMAX(&rows);
      {
        START_SCORES(false);
        PASS_TURN();
        const tile_t tile = READ_TILE(0, true);
        AWAIT_SCORES(0);
        values = next_values;
        MODIFY(true);
        hide(scores, &tile, &at, first_column);
        WEIGH(&rows, true);
        DROP_WEIGHTS(true);
        pack(weights, scores);
      }
      do {
#pragma unroll
        for (int i = 0; i < OUTPUTS; ++i)
          outputs[i] = 0.0f;
        int step = 1;
        for (; step < at.cut_tiles; ++step) {
          SKIP_HIDDEN_TILE();
          COMPUTE_TILE(true);
        }
        for (; step < at.tiles; ++step) {
          COMPUTE_TILE(false);
        }
        const int finished = at.slot;
#if !OVERLAPS_ITEMS
        AWAIT_GATHERED(true);
        START_OUTPUTS();
        AWAIT_OUTPUTS();
        FINISH_ITEM(finished);
        TAKE_ITEM(at);
#else
        // The last weights of this item meet the first scores of the next.
        TAKE_ITEM(at);
        if (at.tiles < 0) {
          AWAIT_GATHERED(true);
          START_OUTPUTS();
          AWAIT_OUTPUTS();
          FINISH_ITEM(finished);
          break;
        }
        START_SCORES(true);
        START_OUTPUTS();
        PASS_TURN();
        const tile_t tile = READ_TILE(0, true);
        AWAIT_SCORES(1);
        MODIFY(true);
        hide(scores, &tile, &at, first_column);
        softmax_t next_rows;
        START_SOFTMAX(&next_rows);
        WEIGH(&next_rows, true);
        DROP_WEIGHTS(true);
        AWAIT_OUTPUTS();
        values = next_values;
        pack(weights, scores);
        FINISH_ITEM(finished);
        rows = next_rows;
#endif
      } while (OVERLAPS_ITEMS);
    }
  }
}
