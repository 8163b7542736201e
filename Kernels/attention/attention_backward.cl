// Scaled dot-product attention, backward, tile by tile: the gradients of queries, or those of keys and values.
//
//   P[i,j]  = exp(s[i,j] - LSE[i])                                       0 where LSE[i] is -inf
//   g[i,j]  = P[i,j] (keep[i,j] sum_c dO[i,c] V[j,c] - delta[i])         gradient of the final score
//   g0[i,j] = g[i,j] ds[i,j] / d(scale q.k)
//   dQ[i,:] = scale sum_j g0[i,j] K[j,:]      dK[j,:] = scale sum_i g0[i,j] Q[i,:]
//   dV[j,:] = sum_i keep[i,j] P[i,j] dO[i,:]
//
// attention_sums.cl computes delta before, and adds up what is written here in parts. Scores are computed anew from the
// given LSE (Dao et al., arXiv 2205.14135), so no S x S array exists. Elements are stored as STORAGE says; all
// arithmetic is fp32, P and g included, and gradients are rounded once.
//
// Compiled twice. A work-group *owns* a tile of OWN_TILE rows of one side, whose gradients it alone writes, and walks
// over tiles of OTHER_TILE rows of the other side in a fixed order: no atomics, and equal runs give equal bits.
//
//   OWNER_QUERIES 1   own: queries Q, dO    other: keys K, V       writes dQ
//   OWNER_QUERIES 0   own: keys K, V        other: queries Q, dO   writes dK, dV; walks once for each query head of its
//                                                                  key head; block masks are transposed
//
// Tensors: Q[b, h, i, :], K[b, h / head_ratio, j, :], V likewise, dO like the output, each with an offset and strides
// for batch, head and row, in elements; channels are adjacent. LSE and delta are [b, h, i]; gradients are contiguous.
//
// Work-groups (WORK_GROUP_SIZE, 1, 1): heads (for keys: key heads) from first_head on, times `slices`. Slice z does the
// units first_unit + z, + slices, ...; a unit is a tile of a batch entry, or one of the tile table. There are as many
// slices as units, unless tables have gradients (RELATIVE, CAPTURE_GRADIENTS): each slice sums them in its own copy.
//
// All vectors run across own rows: lane r of row vector v is own row v * VECTOR + r of the tile, as in attention.cl.
// Two products make a tile: dO V^T, then Q K^T. One pass turns them into g0 and, in place of the scores, into keep P
// (keys) or the gradients of the scores before the score code (queries). Then rows of the other side, times these
// weights, are added to micro-tiles of MICRO_CHANNELS x one row vector, in registers.
//
// Local memory, in floats (see the declarations): both own operands, transposed; a stage for a slice of the other
// side's; two tiles of OTHER_TILE x OWN_TILE, two more for captured tensors and one of indices for any table; some for
// each row.
//
// Gradients of parameters, by the side that has them:
//   ALIBI     queries: sum_j of each query's part, to slope_rows[b, h, i]
//   BIAS      queries, if it differs by query: added to bias_gradient at the pair's place; else keys: sums over
//             queries. Launches follow one another for batch entries and heads that share a bias.
//   RELATIVE  queries: copies [slice, head, element]
//   CAPTURE_GRADIENTS, how many there are of captured tensors: queries: copies [slice, head or 1, element]
//
// Tunables: VECTOR, OWN_TILE, OTHER_TILE, DEPTH_TILE and VALUE_DEPTH_TILE (channels staged at a time for products of D
// and of Dv channels), STAGE_ROWS (whole rows staged at a time), MICRO_ROWS, MICRO_CHANNELS, WORK_GROUP_SIZE.
//
// Preconditions, as in attention.cl: VECTOR divides OWN_TILE; MICRO_ROWS divides OTHER_TILE; STAGE_ROWS and
// MICRO_CHANNELS at most OTHER_TILE; slices of channels are multiples of 4; lengths at most 2^30; what the mask hides
// is finite.
//
// Needs: scores.clh
// Needs: gradients.clh
// Check: -D OWNER_QUERIES=0
// Check: -D MASK=1 -D SEQUENCES=1 -D SOFTCAP=1 -D ALIBI=1 -D DROPOUT=1 -D BIAS=1
// Check: -D OWNER_QUERIES=0 -D MASK=1 -D SEQUENCES=1 -D ALIBI=1 -D DROPOUT=1 -D BIAS=1 -D BIAS_PER_QUERY=0
// Check: -D MASK=2 -D HAS_ORDER=1 -D BIAS=1 -D RELATIVE=1 -D VECTOR=16 -D WORK_GROUP_SIZE=1
// Check: -D OWNER_QUERIES=0 -D MASK=2 -D HAS_ORDER=1 -D RELATIVE=1 -D VECTOR=16 -D WORK_GROUP_SIZE=1

#ifndef OWNER_QUERIES
#define OWNER_QUERIES 1
#endif
#ifndef BIAS_PER_QUERY
#define BIAS_PER_QUERY 1
#endif
#ifndef CAPTURE_GRADIENTS
#define CAPTURE_GRADIENTS 0
#endif

#define QUERY_BIAS (BIAS && BIAS_PER_QUERY && OWNER_QUERIES)
#define KEY_BIAS (BIAS && !BIAS_PER_QUERY && !OWNER_QUERIES)
#define SLOPE_SUMS (ALIBI && OWNER_QUERIES)
#define OWN_SUMS (SLOPE_SUMS || KEY_BIAS)
#define TABLE (RELATIVE && OWNER_QUERIES)
#define CAPTURED (CAPTURE_GRADIENTS && OWNER_QUERIES)

// What stands for a pair that takes no element of a table, and for one whose score is -inf: of that user code hears
// nothing, whatever the table.
#define NO_ELEMENT (-1)
#define HIDDEN (-2)
#define INDEX(t) (((__local int *)indices)[t])
// User code's arguments for own row r and another row of a step.
#define PAIR(r, row)                                                                         \
  unit, head, first_own + (r), first_other + (row), ((__local const int *)own_rows)[r],      \
  MEMORY_ROW(first_other + (row)) + other_start, queries, keys

// Of a thing of queries and one of keys, what a work-group owns, and what it walks over.
#if OWNER_QUERIES
#define OWN(of_queries, of_keys) (of_queries)
#define OTHER(of_queries, of_keys) (of_keys)
#else
#define OWN(of_queries, of_keys) (of_keys)
#define OTHER(of_queries, of_keys) (of_queries)
#endif

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_attention_backward(
    __global const storage_t *query, __global const storage_t *key, __global const storage_t *value,
    __global const storage_t *output_gradient, __global const float *lse, __global const float *delta,
#if OWNER_QUERIES
    __global storage_t *query_gradient,
#else
    __global storage_t *key_gradient, __global storage_t *value_gradient,
#endif
    const ulong query_offset, const ulong query_batch_stride, const ulong query_head_stride,
    const ulong query_row_stride, const ulong key_offset, const ulong key_batch_stride, const ulong key_head_stride,
    const ulong key_row_stride, const ulong value_offset, const ulong value_batch_stride,
    const ulong value_head_stride, const ulong value_row_stride, const ulong gradient_offset,
    const ulong gradient_batch_stride, const ulong gradient_head_stride, const ulong gradient_row_stride,
    const ulong lse_offset, const int query_length, const int key_length, const int query_heads, const int head_ratio,
    const int own_tiles, const int first_head, const ulong first_unit, const ulong units, const ulong slices
#if SLOPE_SUMS
    , __global float *slope_rows
#endif
#if QUERY_BIAS || KEY_BIAS
    , __global float *bias_gradient, const ulong bias_gradient_batch_stride, const ulong bias_gradient_head_stride,
    const ulong bias_gradient_row_stride
#endif
#if TABLE
    , __global float *table_copies
#endif
#if CAPTURED
    , __global float *capture_copies, __global const ulong *capture_ranges /* first element and number of each */,
    const ulong capture_count, const int heads_have_copies, __global int *capture_faults
#endif
    MASK_PARAMETERS ORDER_PARAMETER SEQUENCE_PARAMETERS SCORE_PARAMETERS)
{
  __local vec_t own_heads[HEAD_CHANNELS * OWN_PITCH];    // [channel][row vector], of Q or K
  __local vec_t own_values[VALUE_CHANNELS * OWN_PITCH];  // of dO or V
  __local float stage[STAGE_FLOATS];                            // [other row][channel]
  __local vec_t products[OTHER_TILE * ROW_VECTORS];      // [other row][row vector], dO.V, later g0, then outputs
  __local vec_t scores[OTHER_TILE * ROW_VECTORS];        // Q.K, later keep P or the gradients before the score code
  __local vec_t row_lse[CEIL_DIV(OWN(OWN_TILE, OTHER_TILE), VECTOR)];  // of queries
  __local vec_t row_delta[CEIL_DIV(OWN(OWN_TILE, OTHER_TILE), VECTOR)];
  __local ivec_t own_rows[ROW_VECTORS];  // rows in memory
#if OWN_SUMS
  __local vec_t own_sums[PRODUCT_TILES];  // of each micro-tile's rows, over all steps
#endif
#if CAPTURED
  __local vec_t gradients[OTHER_TILE * ROW_VECTORS];  // g
  __local vec_t uncoded[OTHER_TILE * ROW_VECTORS];    // scores before the score code
#endif
#if TABLE || CAPTURED
  __local ivec_t indices[OTHER_TILE * ROW_VECTORS];  // elements of a table, NO_ELEMENT, or HIDDEN
#endif
  vec_t head_outputs[HEAD_OUTPUTS][MICRO_CHANNELS];  // dQ or dK
#if !OWNER_QUERIES
  vec_t value_outputs[VALUE_OUTPUTS][MICRO_CHANNELS];  // dV
#endif

  const int item = (int)get_local_id(0);
  const ulong slice = get_group_id(0) % slices;
  const int own_head = first_head + (int)(get_group_id(0) / slices);
  const int kv_head = OWN(own_head / head_ratio, own_head);

  for (ulong number = first_unit + slice; number < first_unit + units; number += slices) {
#if SEQUENCES
    const int unit = tiles[2 * number];  // the sequence
    const sequence_t sequence = sequence_at(sequences, unit);
    const int batch = sequence.batch;
    const int queries = sequence.queries, keys = sequence.keys;
    const int query_start = sequence.first_query, key_start = sequence.first_key;
    const int stored_rows = sequence.stored_rows;
#else
    const int unit = (int)(number / (ulong)own_tiles);  // the batch entry
    const int batch = unit;
    const int queries = query_length, keys = key_length;
    const int query_start = 0, key_start = 0;
    const int stored_rows = OWN(query_length, key_length);
#endif
#if MASK == MASK_CAUSAL
    const int diagonal = keys - queries;  // query i sees keys up to i + diagonal
#endif

    // The own rows of this unit: `rows` positions from `first_own` on.
#if MASK == MASK_BLOCKS
    const int tile_number = (int)(number % (ulong)own_tiles);
    const int tiles_per_row = CEIL_DIV(query_block, OWN_TILE);
    const int block_row = tile_number / tiles_per_row;
    const int row_in_block = tile_number % tiles_per_row * OWN_TILE;
    const int first_own = block_row * query_block + row_in_block;
    const int stored = min(min(OWN_TILE, query_block - row_in_block), stored_rows - first_own);
    const int words_per_row = CEIL_DIV(query_block, 32);
    const int tiles_per_block = CEIL_DIV(key_block, OTHER_TILE);
#else
#if SEQUENCES
    const int first_own = tiles[2 * number + 1];
#elif MASK == MASK_CAUSAL && OWNER_QUERIES
    // The last tiles have the most keys: started first, they leave no long tail.
    const int first_own = (own_tiles - 1 - (int)(number % (ulong)own_tiles)) * OWN_TILE;
#else
    const int first_own = (int)(number % (ulong)own_tiles) * OWN_TILE;
#endif
    const int stored = min(OWN_TILE, stored_rows - first_own);
    int other_begin = 0;
    int other_end = OTHER(queries, keys);
#if MASK == MASK_CAUSAL && OWNER_QUERIES
    other_end = max(min(first_own + OWN_TILE, queries) + diagonal, 0);
#elif MASK == MASK_CAUSAL
    other_begin = min(max(first_own - diagonal, 0), queries);
#endif
#endif
    const int rows = clamp(OWN(queries, keys) - first_own, 0, stored);
    const int own_start = OWN(query_start, key_start);
    const int other_start = OTHER(query_start, key_start);

    const ulong query_rows = query_offset + batch * query_batch_stride + query_start * query_row_stride;
    const ulong key_rows = key_offset + batch * key_batch_stride + key_start * key_row_stride;
    const ulong value_rows = value_offset + batch * value_batch_stride + key_start * value_row_stride;
    const ulong gradient_rows = gradient_offset + batch * gradient_batch_stride + query_start * gradient_row_stride;
    const ulong key_base = key_rows + kv_head * key_head_stride;
    const ulong value_base = value_rows + kv_head * value_head_stride;

    SYNC();
    stage_rows((__local float *)own_heads, 1, OWN_PITCH * VECTOR, OWN_TILE, HEAD_CHANNELS, OWN(query, key),
               OWN(query_rows + own_head * query_head_stride, key_base), OWN(query_row_stride, key_row_stride),
               first_own, rows, HEAD_DIM ORDER);
    stage_rows((__local float *)own_values, 1, OWN_PITCH * VECTOR, OWN_TILE, VALUE_CHANNELS,
               OWN(output_gradient, value), OWN(gradient_rows + own_head * gradient_head_stride, value_base),
               OWN(gradient_row_stride, value_row_stride), first_own, rows, VALUE_DIM ORDER);
    for (int v = item; v < ROW_VECTORS; v += WORK_GROUP_SIZE) {
      const ivec_t place = min((ivec_t)(v * VECTOR) + (ivec_t)LANES, (ivec_t)(max(rows - 1, 0)));
      own_rows[v] = memory_rows(first_own + place ORDER) + own_start;
    }
    clear(head_outputs, HEAD_OUTPUTS);
#if !OWNER_QUERIES
    clear(value_outputs, VALUE_OUTPUTS);
#endif

    for (int member = 0; member < OWN(1, head_ratio); ++member) {
      const int head = OWN(own_head, kv_head * head_ratio + member);
      const ulong head_number = batch * (ulong)query_heads + head;
      const ulong first_row = head_number * (ulong)query_length + query_start;  // of LSE and delta
      const score_t score = SCORE_STATE(unit, head, head_number, queries, keys);
      const ulong other_heads = OTHER(query_rows + head * query_head_stride, key_base);
      const ulong other_values = OTHER(gradient_rows + head * gradient_head_stride, value_base);
#if OWN_SUMS
      for (int t = item; t < PRODUCT_TILES; t += WORK_GROUP_SIZE)
        own_sums[t] = 0.0f;
#endif
#if OWNER_QUERIES
      load_queries((__local float *)row_lse, (__local float *)row_delta, OWN_TILE, lse, delta, lse_offset + first_row,
                   first_row, first_own, rows ORDER);
#endif
#if MASK == MASK_BLOCKS
      const int first_entry = row_offsets[MASK_ROW(batch, head) + block_row];
      const int entries = row_offsets[MASK_ROW(batch, head) + block_row + 1] - first_entry;
      const long steps = (long)entries * tiles_per_block;
#else
      const long steps = rows > 0 ? CEIL_DIV(other_end - other_begin, OTHER_TILE) : 0;
#endif

      for (long step = 0; step < steps; ++step) {
        // The other rows of this step: `others` positions from `first_other` on. A ragged last block may leave it none.
#if MASK == MASK_BLOCKS
        const int entry = first_entry + (int)(step / tiles_per_block);
        const int other_in_block = (int)(step % tiles_per_block) * OTHER_TILE;
        const int first_other = columns[entry] * key_block + other_in_block;
        const int others =
            max(min(min(OTHER_TILE, key_block - other_in_block), OTHER(queries, keys) - first_other), 0);
        const int pattern = patterns[entry];
        __global const uint *pattern_bits =
            pattern_words + ((ulong)max(pattern, 0) * key_block + other_in_block) * words_per_row + row_in_block / 32;
#else
        const int first_other = other_begin + (int)step * OTHER_TILE;
        const int others = min(OTHER_TILE, other_end - first_other);
#endif
#if !OWNER_QUERIES
        load_queries((__local float *)row_lse, (__local float *)row_delta, OTHER_TILE, lse, delta,
                     lse_offset + first_row, first_row, first_other, others ORDER);
#endif
        multiply(products, own_values, stage, VALUE_DIM, VALUE_DEPTH_TILE, OTHER(output_gradient, value),
                 other_values, OTHER(gradient_row_stride, value_row_stride), first_other, others,
                 rows ORDER);
        multiply(scores, own_heads, stage, HEAD_DIM, DEPTH_TILE, OTHER(query, key), other_heads,
                 OTHER(query_row_stride, key_row_stride), first_other, others, rows ORDER);

        for (int t = item; t < PRODUCT_TILES; t += WORK_GROUP_SIZE) {
          const int v = t % ROW_VECTORS;
          const int begin = t / ROW_VECTORS * MICRO_ROWS;
          const int end = v * VECTOR < rows ? min(begin + MICRO_ROWS, others) : begin;
          const ivec_t own = first_own + min((ivec_t)(v * VECTOR) + (ivec_t)LANES, (ivec_t)(rows - 1));
#if OWN_SUMS
          vec_t sum = 0.0f;
#endif
          for (int row = begin; row < end; ++row) {
            const int at = row * ROW_VECTORS + v;
            const ivec_t other = first_other + row;
            const ivec_t other_row = MEMORY_ROW(first_other + row) + other_start;
            const pairs_t pairs = {OWN(own, other), OTHER(own, other), OWN(own_rows[v], other_row),
                                   OTHER(own_rows[v], other_row)};
            ivec_t visible = USER_CODE ? (ivec_t)(v * VECTOR) + (ivec_t)LANES < (ivec_t)(rows) : (ivec_t)(-1);
#if MASK == MASK_CAUSAL
            visible &= pairs.key <= pairs.query + diagonal;
#elif MASK == MASK_BLOCKS
            if (pattern >= 0) {
              // A row vector never straddles words: VECTOR divides 32, and tiles begin at multiples of VECTOR.
              const int bit = row_in_block % 32 + v * VECTOR;
              const uint word = pattern_bits[row * words_per_row + bit / 32] >> (bit % 32);
              visible &= (((uvec_t)(word) >> (uvec_t)LANES) & 1u) == 1u;
            }
#endif
            const scored_t scored = scored_pairs(scores[at], pairs, visible, &score);
            const vec_t s = select((vec_t)(-INFINITY), scored.score, visible);
            const vec_t weight =
                exponential(s - OWN(row_lse[v], (vec_t)(((__local const float *)row_lse)[row])));
            const vec_t keep = dropout_factors(pairs, &score);
            const vec_t difference =
                products[at] * keep - OWN(row_delta[v], (vec_t)(((__local const float *)row_delta)[row]));
            // Where the weight is 0, slopes may be infinite.
            const ivec_t hidden = weight == (vec_t)(0.0f);
            const vec_t gradient = select(weight * difference, (vec_t)(0.0f), hidden);
            const vec_t before = select(gradient * scored.code_slope, (vec_t)(0.0f), hidden);
            products[at] = select(before * scored.product_slope, (vec_t)(0.0f), hidden);
            scores[at] = OWN(before, weight * keep);
#if SLOPE_SUMS
            sum -= before * alibi_distances(pairs, &score);
#elif KEY_BIAS
            sum += before;
#endif
#if CAPTURED
            gradients[at] = gradient;
            uncoded[at] = scored.before;
#endif
#if TABLE || CAPTURED
            indices[at] = select((ivec_t)(HIDDEN), (ivec_t)(NO_ELEMENT), s != (vec_t)(-INFINITY));
#endif
          }
#if OWN_SUMS
          own_sums[t] += sum;
#endif
        }
        SYNC();

#if QUERY_BIAS
        const ulong bias_base = unit * bias_gradient_batch_stride + head * bias_gradient_head_stride;
        for (int r = item / STAGE_LANES; r < OWN_TILE; r += WORK_GROUP_SIZE / STAGE_LANES) {
          if (r >= rows)
            continue;
          const ulong bias_row = bias_base + ((__local const int *)own_rows)[r] * bias_gradient_row_stride;
          for (int row = item % STAGE_LANES; row < others; row += STAGE_LANES)
            bias_gradient[bias_row + MEMORY_ROW(first_other + row) + other_start] +=
                ((__local const float *)scores)[row * OWN_TILE + r];
        }
#endif
#if TABLE
        for (int t = item; t < OTHER_TILE * OWN_TILE; t += WORK_GROUP_SIZE) {
          const int r = t % OWN_TILE;
          const int row = t / OWN_TILE;
          if (r < rows && row < others && INDEX(t) != HIDDEN)
            INDEX(t) = codes[((__local const int *)own_rows)[r]] - codes[MEMORY_ROW(first_other + row) + other_start]
                + center;
        }
        SYNC();
        scatter(table_copies + (slice * query_heads + head) * (2 * (ulong)center + 1), (__local const int *)indices,
                (__local const float *)scores, rows, others);
#endif
#if CAPTURED
        for (int captured = 0; captured < CAPTURE_GRADIENTS; ++captured) {
          SYNC();
          for (int t = item; t < OTHER_TILE * OWN_TILE; t += WORK_GROUP_SIZE) {
            const int r = t % OWN_TILE;
            const int row = t / OWN_TILE;
            if (r >= rows || row >= others || INDEX(t) == HIDDEN)
              continue;
            const int index = tilecl_gradient_index(captured, PAIR(r, row) SCORE_CAPTURES(&score));
            const float gradient = ((__local const float *)gradients)[t];
            INDEX(t) = NO_ELEMENT;
            if (index >= 0 && (ulong)index >= capture_ranges[2 * captured + 1]) {
              capture_faults[captured] = 1;  // Whoever writes it writes the same.
            } else if (index >= 0 && gradient != 0.0f) {
              const float before = ((__local const float *)uncoded)[t];
              INDEX(t) = index;
              ((__local float *)scores)[t] =
                  gradient * tilecl_gradient_factor(captured, before, PAIR(r, row) SCORE_CAPTURES(&score));
            }
          }
          SYNC();
          const ulong copy = heads_have_copies ? slice * query_heads + head : slice;
          scatter(capture_copies + copy * capture_count + capture_ranges[2 * captured], (__local const int *)indices,
                  (__local const float *)scores, rows, others);
        }
#endif

#if !OWNER_QUERIES
        accumulate(value_outputs, VALUE_OUTPUTS, VALUE_GROUPS, scores, stage, output_gradient, other_values,
                   gradient_row_stride, first_other, others, VALUE_DIM, rows ORDER);
#endif
        accumulate(head_outputs, HEAD_OUTPUTS, HEAD_GROUPS, products, stage, OTHER(query, key),
                   other_heads, OTHER(query_row_stride, key_row_stride), first_other, others, HEAD_DIM,
                   rows ORDER);
      }

#if OWN_SUMS
      SYNC();
      for (int start = 0; start < OWN_TILE; start += WORK_GROUP_SIZE) {
        const int r = start + item;
        if (r >= stored)
          continue;
        float sum = 0.0f;
        for (int group = 0; group < ROW_GROUPS; ++group)
          sum += ((__local const float *)own_sums)[group * OWN_TILE + r];
#if SLOPE_SUMS
        slope_rows[first_row + MEMORY_ROW(first_own + r)] = sum;
#else
        if (r < rows)
          bias_gradient[unit * bias_gradient_batch_stride + head * bias_gradient_head_stride
                        + ((__local const int *)own_rows)[r]] += sum;
#endif
      }
      SYNC();
#endif
    }

#if OWNER_QUERIES
    store(head_outputs, HEAD_OUTPUTS, HEAD_GROUPS, products, query_gradient,
          ((batch * (ulong)query_heads + own_head) * query_length + query_start) * HEAD_DIM, HEAD_DIM, first_own, rows,
          stored, scale ORDER);
#else
    const ulong key_row = (batch * (ulong)(query_heads / head_ratio) + kv_head) * key_length + key_start;
    store(head_outputs, HEAD_OUTPUTS, HEAD_GROUPS, products, key_gradient, key_row * HEAD_DIM, HEAD_DIM, first_own,
          rows, stored, scale ORDER);
    store(value_outputs, VALUE_OUTPUTS, VALUE_GROUPS, products, value_gradient, key_row * VALUE_DIM, VALUE_DIM,
          first_own, rows, stored, 1.0f ORDER);
#endif
  }
}
