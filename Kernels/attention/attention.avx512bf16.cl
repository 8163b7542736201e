// Attention, forward, of bfloat16 on x86 CPUs that multiply pairs of it: with dot products of vectors (AVX512_BF16), or
// with matrix tiles besides (AMX).
//
//   O[i,:] = sum_j keep[i,j] exp(s[i,j] - LSE[i]) V[j,:]      LSE[i] = ln(sum_j exp(s[i,j]) + exp(sink))
//
// Scores, masks, layouts, arguments and results are those of attention.cl. Both products are taken transposed, S^T = K
// Q^T and O^T = V^T P^T, with sums in fp32: so K is a left operand as it is, weights come to lie as a right operand
// does by rounding two keys at a time to bf16, and every vector of scores, weights and outputs runs across queries. Q
// is transposed once a group, V once a step, by pairs of elements.
//
// The header of the instructions, x86/operands.avx512bf16.clh or x86/tiles.amx.clh, says what operands are, and has
// multiply_operands, begin_products and end_products.
//
// Work-group (1, 1, 1): QUERY_TILE queries of one head, with groups in the order of attention.cl. A pair of row
// vectors, 32 queries, at a time goes through all of a step.
//
// Local memory, in bytes (see the declarations): Q^T, a tile of K, one of V and V^T, 2 each element; scores of a pair,
// 4 x 32 x KEY_TILE, and its weights, half of that; outputs, 4 x QUERY_TILE x Dv; three floats a query.
//
// Tunables: QUERY_TILE, KEY_TILE.
//
// Preconditions: STORAGE is bfloat16; VECTOR is 16; 32 divides QUERY_TILE and KEY_TILE; else as in attention.cl.
//
// Needs: scores.clh
// Needs: tiles.clh
// Needs: vectors.clh
// Needs: walk.clh
// Needs: ../x86/dot.avx512bf16.clh
// Needs: ../x86/operands.avx512bf16.clh
// Check: -D VECTOR=16
// Check: -D MASK=1 -D SEQUENCES=1 -D SOFTCAP=1 -D ALIBI=1 -D DROPOUT=1 -D SINKS=1 -D VECTOR=16 -D HEAD_DIM=80
// Check: -D MASK=2 -D HAS_ORDER=1 -D BIAS=1 -D RELATIVE=1 -D DROPOUT=1 -D VECTOR=16 -D WORK_GROUP_SIZE=1

#if VECTOR == 16
#define DEPTH (CEIL_DIV(HEAD_DIM, 32) * 32)
#define VALUE_ROWS (CEIL_DIV(VALUE_DIM, 32) * 32)
#define ROUNDED_UP(keys) (CEIL_DIV(keys, 32) * 32)

// Where a left operand of 16 rows of 32 elements begins, in an array of `pitch` elements a row that is cut into such
// ones. Each is contiguous, as caches like it.
#define OPERAND(row, column, pitch) (((row) / 16 * ((pitch) / 32) + (column) / 32) * 512)

// Copies rows of bf16 as they are, `pitch` elements each, with zeros behind channels and rows; row by row, or cut into
// operands.
INLINE void stage_bits(__local ushort *tile, const int pitch, const bool cuts, const int tile_rows,
                       __global const storage_t *source, const ulong base, const ulong row_stride, const int first,
                       const int rows, const int channels ORDER_PARAMETER)
{
  __global const ushort *elements = (__global const ushort *)source;
  for (int r = 0; r < tile_rows; ++r) {
    const int valid = r < rows ? channels : 0;
    const ulong start = base + (r < rows ? (ulong)MEMORY_ROW(first + r) * row_stride : 0);
    for (int c = 0; c < pitch; c += 16) {
      __local ushort *target = tile + (cuts ? OPERAND(r, c, pitch) + r % 16 * 32 + c % 32 : r * pitch + c);
      if (c + 16 <= valid) {
        *(__local ushort16 *)target = ((__global const loose_ushorts_t *)(elements + start + c))->elements;
      } else {
        for (int i = 0; i < 16; ++i)
          target[i] = c + i < valid ? elements[start + c + i] : (ushort)0;
      }
    }
  }
}

// For what is done once a group: the code of a transposition is long.
static __attribute__((noinline)) void transpose_seldom(vec_t rows[16])
{
  WIDE_VECTORS();
  transpose(rows);
}

// A left operand as a right one: [pair of channels][row].
INLINE void pair_channels(__local vec_t *target, __local const vec_t *rows)
{
  vec_t m[16];
#pragma unroll
  for (int i = 0; i < 16; ++i)
    m[i] = rows[i];
  transpose_seldom(m);
#pragma unroll
  for (int i = 0; i < 16; ++i)
    target[i] = m[i];
}

// 32 rows of 16 elements, `pitch` apart, as a left operand, whose rows they become the columns of.
INLINE void transpose_rows(__local ushort *target, __local const ushort *rows, const int pitch)
{
  vec_t m[16];
#pragma unroll
  for (int i = 0; i < 16; ++i)
    m[i] = as_float16(convert_uint16(*(__local const ushort16 *)(rows + 2 * i * pitch)) |
                      convert_uint16(*(__local const ushort16 *)(rows + (2 * i + 1) * pitch)) << 16);
  transpose(m);
#pragma unroll
  for (int i = 0; i < 16; ++i)
    ((__local vec_t *)target)[i] = m[i];
}

// As weigh_pair, but the weights go rounded to where the right operands are; those of keys behind the last one are 0.
INLINE void weigh_and_round(const int pair, __local vec_t *weights, __local vec_t *scores, const vec_t maxima[PAIR],
                            const int keys, const float factor, __local vec_t *row_max, __local vec_t *row_scale,
                            __local vec_t *row_sum, const tile_t *tile, const step_t *step,
                            const score_t *score ORDER_PARAMETER)
{
  const int padded_keys = ROUNDED_UP(keys);
  for (int i = keys * PAIR; i < padded_keys * PAIR; ++i)
    scores[i] = -INFINITY;
#pragma unroll
  for (int r = 0; r < PAIR; ++r) {
    const int v = pair * PAIR + r;
    const vec_t old = row_max[v];
    const vec_t maximum = larger(maxima[r], old);
    // While all is hidden the maximum is -inf, and -inf - -inf would be NaN.
    const vec_t shift = select(maximum, (vec_t)(0.0f), maximum == (vec_t)(-INFINITY));
    const vec_t shrink = power_of_two(old - shift);
    vec_t sums[2] = {0.0f, 0.0f};
#pragma unroll 2
    for (int j = 0; j < padded_keys; j += 2) {
      vec_t weight[2];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        weight[i] =
            power_of_two(smaller((vec_t)(0.0f), fma(scores[(j + i) * PAIR + r], (vec_t)(factor), -shift)));
        sums[i] += weight[i];
#if DROPOUT
        weight[i] *= dropout_factors(pairs_of(v, min(j + i, keys - 1), tile, step ORDER), score);
#endif
      }
      weights[r * (KEY_TILE / 2) + j / 2] = as_float16(bfloat16_pairs(weight[0], weight[1]));
    }
    row_max[v] = maximum;
    row_scale[v] = shrink;
    row_sum[v] = row_sum[v] * shrink + (sums[0] + sums[1]);
  }
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
  __local uchar config[64];
  __local vec_t queries[PAIRS * PAIR * DEPTH / 2];       // [row vector][pair of channels], bf16
  __local vec_t keys[KEY_TILE * DEPTH / 32];             // [key][channel], bf16, cut into operands
  __local vec_t values[KEY_TILE * VALUE_ROWS / 32];      // [key][channel], bf16
  __local vec_t value_columns[VALUE_ROWS * KEY_TILE / 32];  // [channel][key], bf16, cut into operands
  __local vec_t scores[KEY_TILE * PAIR];                 // [key][row vector] of a pair, then weights
  __local vec_t weights[PAIR * KEY_TILE / 2];            // [row vector][pair of keys], bf16
  __local vec_t outputs[PAIRS * VALUE_ROWS * PAIR];      // [pair][channel][row vector]
  __local vec_t output_rows[VALUE_ROWS];                 // [query][channel] of a row vector
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
  const score_t score =
      SCORE_STATE(work.number, work.head, work.head_number, work.queries, work.keys);
  const float factor = MODIFIED ? 1.0f : score.scale * M_LOG2E_F;

  begin_products(config);
  // The place for keys serves for rows of queries.
  for (int first = 0; first < tile.rows; first += 32) {
    stage_bits((__local ushort *)keys, DEPTH, true, 32, query, query_base, query_row_stride,
               tile.row_base + tile.first_row + first, tile.rows - first, HEAD_DIM ORDER);
    for (int r = 0; r < PAIR; ++r)
      for (int d = 0; d < DEPTH; d += 32)
        pair_channels(queries + (first / 16 + r) * (DEPTH / 2) + d / 2, keys + OPERAND(r * 16, d, DEPTH) / 32);
  }
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
  for (int i = 0; i < PAIRS * VALUE_ROWS * PAIR; ++i)
    outputs[i] = 0.0f;

  for (long number = work.first_step; number < work.end_step; ++number) {
    step_t step;
    find_step(&step, number, &work, key_length MASK_ARGUMENTS);
    const int first_key_row = tile.key_base + step.first_key;
    const int staged = ROUNDED_UP(step.keys);
    stage_bits((__local ushort *)keys, DEPTH, true, staged, key, key_base, key_row_stride, first_key_row, step.keys,
               HEAD_DIM ORDER);
    stage_bits((__local ushort *)values, VALUE_ROWS, false, staged, value, value_base, value_row_stride,
               first_key_row, step.keys, VALUE_DIM ORDER);
    for (int j = 0; j < staged; j += 32)
      for (int c = 0; c < VALUE_ROWS; c += 16)
        transpose_rows((__local ushort *)value_columns + OPERAND(c, j, KEY_TILE),
                       (__local const ushort *)values + j * VALUE_ROWS + c, VALUE_ROWS);

    for (int pair = 0; pair * PAIR_ROWS < tile.rows; ++pair) {
      bool hides;
      const int pair_keys = keys_of_pair(pair, &tile, &step, &hides);
      if (pair_keys == 0)
        continue;
      const int padded_keys = ROUNDED_UP(pair_keys);
      for (int j = 0; j < padded_keys; j += 32)
        multiply_operands(scores + j * PAIR, true, keys + OPERAND(j, 0, DEPTH) / 32, DEPTH / 2,
                          queries + pair * PAIR * (DEPTH / 2), DEPTH / 2, DEPTH / 32);

      vec_t maxima[PAIR];
      const bool modifies = (int)hides | (factor < 0.0f) | MODIFIED;
      if (modifies) {
        modify_pair(PAIR, pair, scores, maxima, pair_keys, factor, &tile, &step, &score ORDER);
      } else {
#pragma unroll
        for (int r = 0; r < PAIR; ++r)
          maxima[r] = -INFINITY;
        for (int j = 0; j < pair_keys; ++j)
#pragma unroll
          for (int r = 0; r < PAIR; ++r)
            maxima[r] = larger(scores[j * PAIR + r], maxima[r]);
#pragma unroll
        for (int r = 0; r < PAIR; ++r)
          maxima[r] *= factor;
      }
      weigh_and_round(pair, weights, scores, maxima, pair_keys, modifies ? 1.0f : factor, row_max, row_scale, row_sum,
                      &tile, &step, &score ORDER);

      __local vec_t *sums = outputs + pair * VALUE_ROWS * PAIR;
      const vec_t shrink0 = row_scale[pair * PAIR];
      const vec_t shrink1 = row_scale[pair * PAIR + 1];
      // Maxima seldom grow once many keys have been seen.
      if (any((shrink0 != (vec_t)(1.0f)) | (shrink1 != (vec_t)(1.0f)))) {
        for (int c = 0; c < VALUE_ROWS; ++c) {
          sums[c * PAIR] *= shrink0;
          sums[c * PAIR + 1] *= shrink1;
        }
      }
      for (int c = 0; c < VALUE_ROWS; c += 32)
        multiply_operands(sums + c * PAIR, false, value_columns + OPERAND(c, 0, KEY_TILE) / 32, KEY_TILE / 2, weights,
                          KEY_TILE / 2, padded_keys / 32);
    }
  }
  end_products();

  if (lse)
    finish_lse(row_max, row_sum);
  // Rows of all parts one after another; one part has the rows of O.
  const ulong part_row = (ulong)work.split * part_rows + work.head_number * (ulong)query_length;
  const ulong output_base = output_offset + work.batch * output_batch_stride + work.head * output_head_stride;
  for (int first = 0; first < work.stored_rows; first += 16) {
    __local const vec_t *sums = outputs + first / 32 * (VALUE_ROWS * PAIR) + first / 16 % PAIR;
    for (int c = 0; c < VALUE_ROWS; c += 16) {
      vec_t m[16];
#pragma unroll
      for (int i = 0; i < 16; ++i)
        m[i] = sums[(c + i) * PAIR];
      transpose_seldom(m);
#pragma unroll
      for (int i = 0; i < 16; ++i)
        output_rows[i * (VALUE_ROWS / 16) + c / 16] = m[i];
    }
    for (int r = first; r < min(first + 16, work.stored_rows); ++r) {
      const ulong row = (ulong)MEMORY_ROW(tile.row_base + tile.first_row + r);
      const float sum = r < tile.rows ? FLOATS(row_sum)[r] : 0.0f;
      const float inverse = sum == 0.0f ? 0.0f : 1.0f / sum;
      if (lse)
        lse[part_row + row] = r < tile.rows ? FLOATS(row_max)[r] : -INFINITY;
      __local const vec_t *source = output_rows + (r - first) * (VALUE_ROWS / 16);
      if (parts)
        store_floats(parts, (part_row + row) * VALUE_DIM, source, inverse, VALUE_DIM);
      else
        store_row(output, output_base + row * output_row_stride, source, inverse, VALUE_DIM);
    }
  }
}
#endif
