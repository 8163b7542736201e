// Scaled dot-product attention, backward, for NVIDIA Hopper: fp16 and bf16, D = Dv of 64 or 128.
//
//   P[i,j]  = exp(scale Q[i,:].K[j,:] - LSE[i])         for each visible pair (i, j), 0 where LSE[i] is -inf; scale > 0
//   g[i,j]  = P[i,j] (dO[i,:].V[j,:] - delta[i])
//   dQ[i,:] = scale sum_j g[i,j] K[j,:]      dK[j,:] = scale sum_i g[i,j] Q[i,:]      dV[j,:] = sum_i P[i,j] dO[i,:]
//
// Compiled twice, as attention_backward.cl, which says more of the formulas: a work-group *owns* a tile of queries,
// whose dQ it sums over all keys, or a tile of keys, whose dK and dV it sums over all queries of all heads that share
// them. So there are seven products in place of five, and no atomics; each sum has one order. P and g become 16-bit
// elements, as operands of products; everything else is fp32.
//
//   OWNER_QUERIES 1   own: Q, dO    other: K, V     writes dQ
//   OWNER_QUERIES 0   own: K, V     other: Q, dO    writes dK, dV; block masks are transposed
//
// Groups live as long as the kernel; each takes its items, an own tile each, from a schedule that the host has
// balanced. Barriers in local memory say which slots are full and which are empty:
//
//   warpgroup 0   warp 0 streams own tiles and, tile after tile, the other side's; warp 1 sends gradients to global
//                 memory, from the slots in which the own tiles were; warp 2 writes items without a visible pair.
//   others        64 own rows each. Everything stays in registers: rows are own rows, so that P and g, as they come
//                 from the first two products, are left operands of the last. In each step the scores of the next tile
//                 go to the matrix units before g of this one, whose own products then run while exponentials are
//                 taken.
//
// Tensors: Q[b, h, i, :], dO likewise, K[b, h / head_ratio, j, :], V likewise, through tensor maps
// (attention/gradient_maps.hopper.clh), whose addresses and strides are multiples of 16 bytes; gradients contiguous.
// Rows beyond a tensor read as zeros. LSE and delta as attention/gradient_rows.clh
// writes them.
//
// Work-group (128 * (1 + CONSUMERS), 1, 1). Local memory: OWN_SLOTS pairs of own tiles, STAGES pairs of other tiles,
// LSE and delta beside them if they are queries, then barriers and what warp 0 tells the others about items and tiles.
//
// Tunables: see attention/gradients.hopper.clh.
//
// Preconditions: a block mask shows all own rows of an item the same blocks, be they one row of blocks or several that
// are alike and without patterns; blocks are multiples of OTHER_TILE along the other side; pattern words run along it;
// what the mask hides is finite; scale in 2^-64 ... 2^64; lengths at most 2^30.
//
// Program parts: common/storage.clh, attention/common.clh, hopper/instructions.hopper.clh,
// attention/gradients.hopper.clh, attention/gradient_rows.clh, attention/gradient_maps.hopper.clh, this file.
//
// Needs: ../hopper/instructions.hopper.clh
// Needs: gradients.hopper.clh
// Needs: gradient_rows.clh
// Needs: gradient_maps.hopper.clh
// Check: -D OWNER_QUERIES=0
// Check: -D MASK=1 -D HEAD_DIM=128 -D VALUE_DIM=128 -D CONSUMERS=2 -D OTHER_TILE=80
// Check: -D OWNER_QUERIES=0 -D MASK=1 -D HEAD_DIM=128 -D VALUE_DIM=128
// Check: -D MASK=2 -D HEAD_DIM=128 -D VALUE_DIM=128 -D CONSUMERS=1 -D STAGES=2
// Check: -D MASK=2 -D HAS_PATTERNS=0 -D CONSUMERS=3
// Check: -D OWNER_QUERIES=0 -D MASK=2
// Check: -D OWNER_QUERIES=0 -D MASK=2 -D HAS_PATTERNS=0 -D OWN_SLOTS=2

// Local memory, in bytes.
#define WARPGROUP_BYTES (64 * HEAD_DIM * 2)
#define OWN_BYTES (OWN_TILE * HEAD_DIM * 2)
#define OTHER_BYTES (OTHER_TILE * HEAD_DIM * 2)
#define STAGE_BASE (OWN_SLOTS * 2 * OWN_BYTES)
#define STAGE_BYTES (2 * OTHER_BYTES)
#define ROW_BASE (STAGE_BASE + STAGES * STAGE_BYTES)
// LSE of a tile of other queries, then delta.
#define ROW_BYTES OTHER(2 * OTHER_TILE * 4, 0)
#define BARRIER_BASE (ROW_BASE + STAGES * ROW_BYTES)
#define BARRIER(ring, slot) (base + BARRIER_BASE + 8 * ((ring) + (slot)))
#define OWN_FULL(slot) BARRIER(0, slot)
#define OWN_EMPTY(slot) BARRIER(OWN_SLOTS, slot)
#define SUMS_FULL(slot) BARRIER(2 * OWN_SLOTS, slot)
#define OTHER_FULL(slot) BARRIER(3 * OWN_SLOTS, slot)
#define OTHER_EMPTY(slot) BARRIER(3 * OWN_SLOTS + STAGES, slot)
#define BARRIERS (3 * OWN_SLOTS + 2 * STAGES)
// Three words an item: tiles of the other side (-1: no item comes any more), first own row, own head in the batch.
#define ITEM_WORD(slot, word) (BARRIER(BARRIERS, 0) + 16 * (slot) + 4 * (word))
// Five words a tile of the other side: how many follow one another for one head of queries, this one included, and in
// how many of these pairs may have to be hidden; first row, pattern or -1, place of the first row in its block.
#define TILE_WORD(slot, word) (ITEM_WORD(OWN_SLOTS, 0) + 32 * (slot) + 4 * (word))
#define LOCAL_BYTES (BARRIER_BASE + 8 * BARRIERS + 16 * OWN_SLOTS + 32 * STAGES)

// Whether there are tiles with hidden pairs. Queries behind the last need no hiding, nor do keys there that are owned.
#define HIDES (OWNER_QUERIES || MASK == MASK_CAUSAL || (MASK == MASK_BLOCKS && HAS_PATTERNS))

#if MASK == MASK_BLOCKS && HAS_PATTERNS
#define PATTERN_PARAMETERS , __global const uint *pattern_words, const int own_block, const int other_block
#define PATTERN_ARGUMENTS , pattern_words, query_block, key_block
#else
#define PATTERN_PARAMETERS
#define PATTERN_ARGUMENTS
#endif

#if HIDES
// Hides pairs of one tile.
static inline void hide(float scores[PAIRS], const uint base, const int own_slot, const int slot, const int row,
                        const int first_column, const int query_length, const int key_length PATTERN_PARAMETERS)
{
  const int own_row = load_local(ITEM_WORD(own_slot, 1)) + row;
#if MASK == MASK_BLOCKS && HAS_PATTERNS
  const int pattern = load_local(TILE_WORD(slot, 3));
  if (pattern >= 0) {
    const int pitch = CEIL_DIV(other_block, 32);
    __global const uint *bits = pattern_words + ((ulong)pattern * own_block + own_row % own_block) * pitch +
                                load_local(TILE_WORD(slot, 4)) / 32;
    uint words[2][CEIL_DIV(OTHER_TILE, 32)];
#pragma unroll
    for (int k = 0; k < OTHER_TILE / 32; ++k) {
      words[0][k] = bits[k] >> first_column;
      words[1][k] = bits[8 * pitch + k] >> first_column;
    }
    hide_unset(scores, words);
  }
#endif
#if OWNER_QUERIES || MASK == MASK_CAUSAL
  const int first = load_local(TILE_WORD(slot, 2)) + first_column;
  int limit[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int at = own_row + 8 * r;
#if OWNER_QUERIES
    limit[r] = (MASK == MASK_CAUSAL ? min(at + key_length - query_length + 1, key_length) : key_length) - first;
#else
    limit[r] = at >= key_length ? OTHER_TILE : (MASK == MASK_CAUSAL ? at + query_length - key_length - first : 0);
#endif
  }
  hide_beyond(scores, limit);
#endif
}
#endif


// Puts sums, times a factor, where a warpgroup's own rows were.
static inline void hand_over(const uint place, const float sums[SUMS], const float factor)
{
  const int item = (int)get_local_id(0) & 127;
  const int row = item / 32 * 16 + item % 32 / 4;
  const uint row_place = place + row * 128 + item % 4 * 4;
#pragma unroll
  for (int j = 0; j < SUMS / 4; ++j) {
    const uint chunk = row_place + j / 8 * (64 * 128) + ((j % 8 ^ row % 8) << 4);
    store_local(chunk, packed(sums[4 * j] * factor, sums[4 * j + 1] * factor));
    store_local(chunk + 8 * 128, packed(sums[4 * j + 2] * factor, sums[4 * j + 3] * factor));
  }
}

__kernel __attribute__((reqd_work_group_size(WORK_ITEMS, 1, 1)))
void tilecl_attention_backward_hopper(
    __global const uchar *maps, __global const float *rows, __global storage_t *head_gradient,
    __global storage_t *value_gradient,  // dV, if keys are owned
    __global const int *schedule,  // where each group's items begin, where the empty ones do, the end; then the items,
                                   // each with its number of tiles of the other side
    const int query_length, const int key_length, const int query_heads, const int head_ratio, const int own_tiles,
    const ulong delta_offset, const int pitch,  // of rows
    const float scale, const float exponent_scale  // of scores, and of exponents of 2
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
  const int own_length = OWN(query_length, key_length);

  if (thread == 0) {
    for (int i = 0; i < OWN_SLOTS; ++i) {
      barrier_init(OWN_FULL(i), 1);
      barrier_init(OWN_EMPTY(i), 1);
      barrier_init(SUMS_FULL(i), 128 * CONSUMERS);
    }
    for (int i = 0; i < STAGES; ++i) {
      barrier_init(OTHER_FULL(i), 1);
      barrier_init(OTHER_EMPTY(i), 4 * CONSUMERS);
    }
    FENCE_BARRIERS();
    FENCE_ASYNC();
  }
  barrier(CLK_LOCAL_MEM_FENCE);

  ring_t own = {0, 0};
  ring_t at = {0, 0};
  if (warpgroup < 0) {
    GIVE_REGISTERS(COPYING_REGISTERS);
    if (thread == 0) {
#pragma unroll 1
      for (int i = 0; i < 4; ++i)
        acquire_map(map + 128 * i);
      for (int i = schedule[group]; i < schedule[group + 1]; ++i) {
        const int tiles = items[2 * i + 1];
        const int head_number = items[2 * i] / own_tiles;
        const int first_own = items[2 * i] % own_tiles * OWN_TILE;
        const int own_heads = OWN(query_heads, query_heads / head_ratio);
        const int batch = head_number / own_heads;
        const int own_head = head_number % own_heads;
        // Tiles of the other side do not wait until the slot of the own ones is free, as long as there is room.
        int own_turn = OWN_SLOTS > 1 ? 0 : min(STAGES, tiles) - 1;
        for (int member = 0; member < OWN(1, head_ratio); ++member) {
#if OWNER_QUERIES
          const int other_head = own_head / head_ratio;
#else
          const int other_head = own_head * head_ratio + member;
          const ulong rows_of_head = (batch * (ulong)query_heads + other_head) * (ulong)pitch;
#endif
          // Tiles from `tile` on, `count` of them; of the first `cut` some pairs may have to be hidden.
#if MASK == MASK_BLOCKS
          const int block_row = MASK_ROW(batch, OWN(own_head, other_head)) + first_own / query_block;
          const int first_entry = row_offsets[block_row];
          int entry = row_offsets[block_row + 1] - 1;
          const int count = (entry + 1 - first_entry) * (key_block / OTHER_TILE);
          int tile = key_block / OTHER_TILE - 1;
#if HAS_PATTERNS
          const int cut = count;
#elif OWNER_QUERIES
          // A ragged block is the last of its row, which comes first.
          const int cut = count > 0 && (columns[entry] + 1) * key_block > key_length ? tile + 1 : 0;
#else
          const int cut = 0;
#endif
#elif OWNER_QUERIES
#if MASK == MASK_CAUSAL
          const int diagonal = key_length - query_length;
          const int count =
              CEIL_DIV(clamp(min(first_own + OWN_TILE, query_length) + diagonal, 0, key_length), OTHER_TILE);
          const int cut = count - clamp(first_own + diagonal + 1, 0, key_length) / OTHER_TILE;
#else
          const int count = CEIL_DIV(key_length, OTHER_TILE);
          const int cut = count - key_length / OTHER_TILE;
#endif
          int tile = count - 1;
#else
          const int end = CEIL_DIV(query_length, OTHER_TILE);
#if MASK == MASK_CAUSAL
          const int diagonal = key_length - query_length;
          int tile = max(first_own - diagonal, 0) / OTHER_TILE;
          const int count = end - tile;
          const int cut = CEIL_DIV(max(first_own + OWN_TILE - 1 - diagonal, 0), OTHER_TILE) - tile;
#else
          int tile = 0;
          const int count = end;
          const int cut = 0;
#endif
#endif
          for (int j = 0; j < count; ++j) {
            if (own_turn-- == 0) {
              barrier_wait(OWN_EMPTY(own.slot), own.phase ^ 1);
              store_local(ITEM_WORD(own.slot, 0), (uint)tiles);
              store_local(ITEM_WORD(own.slot, 1), (uint)first_own);
              store_local(ITEM_WORD(own.slot, 2), (uint)head_number);
              barrier_expect(OWN_FULL(own.slot), 2 * OWN_BYTES);
              const uint place = base + own.slot * 2 * OWN_BYTES;
#pragma unroll 1
              for (int w = 0; w < CONSUMERS; ++w) {
                load_tile(place + w * WARPGROUP_BYTES, map, first_own + w * 64, own_head, batch, OWN_FULL(own.slot));
                load_tile(place + OWN_BYTES + w * WARPGROUP_BYTES, map + 128, first_own + w * 64, own_head, batch,
                          OWN_FULL(own.slot));
              }
              advance(&own, OWN_SLOTS);
            }
            barrier_wait(OTHER_EMPTY(at.slot), at.phase ^ 1);
            store_local(TILE_WORD(at.slot, 0), (uint)count);
            store_local(TILE_WORD(at.slot, 1), (uint)cut);
#if MASK == MASK_BLOCKS
            const int first_other = columns[entry] * key_block + tile * OTHER_TILE;
#if HAS_PATTERNS
            store_local(TILE_WORD(at.slot, 3), (uint)patterns[entry]);
            store_local(TILE_WORD(at.slot, 4), (uint)(tile * OTHER_TILE));
#endif
            if (--tile < 0) {
              tile = key_block / OTHER_TILE - 1;
              --entry;
            }
#else
            const int first_other = OWN(tile--, tile++) * OTHER_TILE;
#endif
            store_local(TILE_WORD(at.slot, 2), (uint)first_other);
            barrier_expect(OTHER_FULL(at.slot), STAGE_BYTES + ROW_BYTES);
            const uint place = base + STAGE_BASE + at.slot * STAGE_BYTES;
            load_tile(place, map + 256, first_other, other_head, batch, OTHER_FULL(at.slot));
            load_tile(place + OTHER_BYTES, map + 384, first_other, other_head, batch, OTHER_FULL(at.slot));
#if !OWNER_QUERIES
            const uint row_place = base + ROW_BASE + at.slot * ROW_BYTES;
            const ulong row_source = (ulong)(rows + rows_of_head + first_other);
            load_bytes(row_place, row_source, ROW_BYTES / 2, OTHER_FULL(at.slot));
            load_bytes(row_place + ROW_BYTES / 2, row_source + 4 * delta_offset, ROW_BYTES / 2, OTHER_FULL(at.slot));
#endif
            advance(&at, STAGES);
          }
        }
      }
      barrier_wait(OWN_EMPTY(own.slot), own.phase ^ 1);
      store_local(ITEM_WORD(own.slot, 0), (uint)-1);
      barrier_arrive(OWN_FULL(own.slot));
    } else if (thread == 32) {
      acquire_map(map + 512);
#if !OWNER_QUERIES
      acquire_map(map + 640);
#endif
      for (int i = schedule[group]; i < schedule[group + 1]; ++i) {
        barrier_wait(SUMS_FULL(own.slot), own.phase);
        const int first_own = load_local(ITEM_WORD(own.slot, 1));
        const int head_number = load_local(ITEM_WORD(own.slot, 2));
        const uint place = base + own.slot * 2 * OWN_BYTES;
#pragma unroll 1
        for (int w = 0; w < CONSUMERS; ++w) {
          store_tile(map + 512, first_own + w * 64, head_number, 0, place + w * WARPGROUP_BYTES);
#if !OWNER_QUERIES
          store_tile(map + 640, first_own + w * 64, head_number, 0, place + OWN_BYTES + w * WARPGROUP_BYTES);
#endif
        }
        WAIT_STORES_READ();
        barrier_arrive(OWN_EMPTY(own.slot));
        advance(&own, OWN_SLOTS);
      }
    } else if (warp == 2) {
      for (int i = schedule[groups] + group; i < schedule[groups + 1]; i += groups) {
        const int first_own = items[2 * i] % own_tiles * OWN_TILE;
        const ulong first_row = (ulong)(items[2 * i] / own_tiles) * own_length + first_own;
        const int words = min(OWN_TILE, own_length - first_own) * (HEAD_DIM / 2);
        for (int w = thread % 32; w < words; w += 32) {
          ((__global uint *)(head_gradient + first_row * HEAD_DIM))[w] = 0;
#if !OWNER_QUERIES
          ((__global uint *)(value_gradient + first_row * HEAD_DIM))[w] = 0;
#endif
        }
      }
    }
  } else {
    TAKE_REGISTERS(COMPUTING_REGISTERS);
    const int item = thread & 127;
    const int first_column = 2 * (item % 4);
#if HIDES
    const int row = warpgroup * 64 + item / 32 * 16 + item % 32 / 4;
#endif
    const ulong own_matrix = matrix(base + warpgroup * WARPGROUP_BYTES, 16);
    // Of the last products' right operands; the first ones need no distance.
    const ulong other_matrix = matrix(base + STAGE_BASE, OTHER_TILE * 128);
    float scores[PAIRS];
    float products[PAIRS];
    float head_sums[SUMS];
    uint weights[WEIGHTS];
#if !OWNER_QUERIES
    float value_sums[SUMS];
#if HEAD_DIM == 64
    uint value_weights[WEIGHTS];
#define AWAIT_VALUE_SUMS()
#else
    // There are no registers for both at a time.
#define value_weights weights
#define AWAIT_VALUE_SUMS() \
  WAIT_PRODUCT(0);         \
  SETTLE_PAIRS(products)
#endif
#endif

#define OWN_HEADS (own_matrix + MATRIX_STEP(own.slot * (2 * OWN_BYTES)))
#define OWN_VALUES (OWN_HEADS + MATRIX_STEP(OWN_BYTES))
#define OTHER_HEADS(slot) (other_matrix + MATRIX_STEP((slot) * STAGE_BYTES))
#define OTHER_VALUES(slot) (OTHER_HEADS(slot) + MATRIX_STEP(OTHER_BYTES))
#if OWNER_QUERIES
#define LSE lse
#define DELTA delta
#define START_VALUE_SUMS()
#define AWAIT_VALUE_SUMS()
#else
#define LSE (base + ROW_BASE + at.slot * ROW_BYTES + first_column * 4)
#define DELTA (LSE + ROW_BYTES / 2)
#define START_VALUE_SUMS()   \
  pack(value_weights, scores); \
  start_sums(value_sums, value_weights, OTHER_VALUES(at.slot))
#endif
#if HIDES
#define HIDE() \
  hide(scores, base, own.slot, at.slot, row, first_column, query_length, key_length PATTERN_ARGUMENTS)
#else
#define HIDE()
#endif



// One tile, whose P is there, and P of the next. Under way are this tile's products, and what the tile before adds to
// head_sums. Compilers count what is under way from the last wait for everything on, and not across a loop's end. They
// also move arithmetic beyond a wait, but not into the next round: so a round ends with exponentials, which are to be
// taken while the matrix units work, and begins with that wait.
#define COMPUTE_TILE(cuts_next, is_last)                                      \
  WAIT_PRODUCT(0);                                                            \
  SETTLE_PAIRS(products);                                                     \
  if (item % 32 == 0 && step > 0)                                             \
    barrier_arrive(OTHER_EMPTY(before));                                      \
  START_VALUE_SUMS();                                                         \
  AWAIT_VALUE_SUMS();                                                         \
  weigh_products(products, scores, DELTA);                                    \
  pack(weights, products);                                                    \
  before = at.slot;                                                           \
  advance(&at, STAGES);                                                       \
  if (!(is_last)) {                                                           \
    barrier_wait(OTHER_FULL(at.slot), at.phase);                              \
    start_pairs(scores, OWN_HEADS, OTHER_HEADS(at.slot));                     \
  }                                                                           \
  start_sums(head_sums, weights, OTHER_HEADS(before));                        \
  if (!(is_last)) {                                                           \
    start_pairs(products, OWN_VALUES, OTHER_VALUES(at.slot));                 \
    WAIT_PRODUCT(2);                                                          \
    SETTLE_PAIRS(scores);                                                     \
    if (cuts_next) {                                                          \
      HIDE();                                                                 \
    }                                                                         \
    weigh(scores, LSE, exponent_scale);                                       \
  }                                                                          

    while (true) {
      barrier_wait(OWN_FULL(own.slot), own.phase);
      int tiles_left = load_local(ITEM_WORD(own.slot, 0));
      if (tiles_left < 0)
        break;
#if OWNER_QUERIES
      __global const float *own_row =
          rows + (ulong)load_local(ITEM_WORD(own.slot, 2)) * (ulong)pitch +
          (ulong)(load_local(ITEM_WORD(own.slot, 1)) + row);
      const float lse[2] = {own_row[0], own_row[8]};
      const float delta[2] = {own_row[delta_offset], own_row[delta_offset + 8]};
#endif
#pragma unroll
      for (int i = 0; i < SUMS; ++i) {
        head_sums[i] = 0.0f;
#if !OWNER_QUERIES
        value_sums[i] = 0.0f;
#endif
      }
      while (tiles_left > 0) {
        barrier_wait(OTHER_FULL(at.slot), at.phase);
        const int tiles = load_local(TILE_WORD(at.slot, 0));
        int before = at.slot;
        int step = 0;
        start_pairs(scores, OWN_HEADS, OTHER_HEADS(at.slot));
        start_pairs(products, OWN_VALUES, OTHER_VALUES(at.slot));
        WAIT_PRODUCT(1);
        SETTLE_PAIRS(scores);
        HIDE();
        weigh(scores, LSE, exponent_scale);
#if HIDES
        const int cut = min(load_local(TILE_WORD(at.slot, 1)), tiles);
        for (; step < cut - 1; ++step) {
          COMPUTE_TILE(true, false)
        }
#endif
        for (; step < tiles - 1; ++step) {
          COMPUTE_TILE(false, false)
        }
        COMPUTE_TILE(false, true)
        WAIT_PRODUCT(0);
        SETTLE_SUMS(head_sums);
#if !OWNER_QUERIES
        SETTLE_SUMS(value_sums);
#endif
        if (item % 32 == 0)
          barrier_arrive(OTHER_EMPTY(before));
        tiles_left -= tiles;
      }
      // Until all four warps are here, one may still multiply own rows of this slot.
      MEET(1 + warpgroup, 128);
      const uint place = base + own.slot * (2 * OWN_BYTES) + warpgroup * WARPGROUP_BYTES;
      hand_over(place, head_sums, scale);
#if !OWNER_QUERIES
      hand_over(place + OWN_BYTES, value_sums, 1.0f);
#endif
      FENCE_ASYNC();
      barrier_arrive(SUMS_FULL(own.slot));
      advance(&own, OWN_SLOTS);
    }
  }
}
