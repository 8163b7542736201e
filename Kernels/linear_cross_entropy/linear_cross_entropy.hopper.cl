// Linear cross-entropy, forward, for NVIDIA Hopper, fp16 or bf16: what tilecl_linear_cross_entropy_partials of
// linear_cross_entropy.cl writes for targets that are classes, without class weights or order.
// linear_cross_entropy_steps.cl goes on from there.
//
//   z[n, v] = softcap(scale (E[n] . C[v] + bias[v]))       with SOFTCAP, with HAS_BIAS
//
//   partials[plane][split][n] over the columns v of a split: 0 the maximum of z, 1 the sum of exp(z - maximum), 2 the
//   target's z or -inf, PLANE_WEIGHTED with SMOOTHING the sum of z, PLANE_ARGMAX with ARGMAX the bits of the first v
//   whose z is largest.
//
//   tile_maxima[column tile][n], with TILE_MAXIMA: the upper half of the largest z in the tile, rounded up
//
//   tile_maxima[column tile][n], with TILE_MAXIMA: the upper half of the largest z in the tile, rounded up
//
//   kept[n][v] = z, with KEEP_LOGITS, for the first classes of a multiple of 64, or up to V
//
// E is [N, D], C is [V, D], both with D contiguous; distances between rows are any multiples of 16 bytes, as are
// addresses; N, V and D are arbitrary. Both go through tensor maps (tilecl_product_maps, without C of that kernel).
//
// hopper/products.hopper.clh has the main loop: rows of its tiles are tokens, columns are of the vocabulary. An item is
// a tile of tokens and a split, whose columns a group walks tile by tile. Logits never leave the registers: each
// work-item has some columns of two rows for each block, and keeps their maxima and sums, which four work-items merge
// when the item ends. Infinite logits follow the formula's limits as in the portable kernel.
//
// Groups take every get_num_groups(0)-th item; bands of raster_rows tiles of tokens come one after the other, in a band
// split by split. So the tokens of a band, raster_rows * TILE_ROWS * D elements, should fit the cache.
//
// Work-group (WORK_ITEMS, 1, 1), one a multiprocessor. Local memory: STAGES steps of both operands,
// barriers.
//
// Tunables: those of the main loop.
//
// Preconditions: N, V, D in 1 ... 2^30, raster_rows at least 1; columns_per_split a multiple of TILE_COLUMNS, splits
// the least number with splits * columns_per_split >= V; no operand transposed; targets are classes or -1.
//
// Needs: ../hopper/instructions.hopper.clh
// Needs: ../hopper/tanh.hopper.clh
// Needs: ../hopper/products.hopper.clh
// Needs: logits.hopper.clh
// Check: -D CONSUMERS=3 -D TILE_COLUMNS=256 -D SELF_FED=1 -D HAS_BIAS=1 -D SOFTCAP=1 -D SMOOTHING=1 -D ARGMAX=1
// Check: -D ROW_BLOCKS=2 -D TILE_COLUMNS=192 -D STAGES=4 -D TILE_MAXIMA=1 -D KEEP_LOGITS=1

#ifndef TILE_MAXIMA
#define TILE_MAXIMA 0
#endif
#ifndef KEEP_LOGITS
#define KEEP_LOGITS 0
#endif
#ifndef PLANE_WEIGHTED
#define PLANE_WEIGHTED 3
#endif
#ifndef PLANE_ARGMAX
#define PLANE_ARGMAX 4
#endif

// Rows of a work-item, counted from its first one.
#define ROWS (2 * ROW_BLOCKS)
#define ROW_OF(r) (64 * ((r) / 2) + 8 * ((r) % 2))

// What has been seen of the columns of a row.
typedef struct {
  float maximum;
  float sum;  // of exp(z - reference_of(maximum))
  float target_logit;
#if SMOOTHING
  float logit_sum;
#endif
#if ARGMAX
  int argmax;
#endif
} row_t;

// What exponents are taken relative to: 0 where inf - inf would make a NaN of a defined result.
static inline float reference_of(const float maximum)
{
  return isinf(maximum) ? 0.0f : maximum;
}

static inline void start_row(row_t *row)
{
  row->maximum = -INFINITY;
  row->sum = 0.0f;
  row->target_logit = -INFINITY;
#if SMOOTHING
  row->logit_sum = 0.0f;
#endif
#if ARGMAX
  row->argmax = INT_MAX;
#endif
}

// The upper half of a float, rounded up.
static inline ushort upper_half(const float x)
{
  const uint bits = as_uint(x);
  // Cutting bits off takes what is negative up.
  return isnan(x) ? 0x7fc0 : (ushort)((x > 0.0f ? bits + 0xffff : bits) >> 16);
}

// Takes a tile's logits of row r of two into what has been seen. `first` is the work-item's first column; `target` and
// `left` are counted from it. Returns the largest of them.
static inline float take_logits(row_t *row, const float logits[SUMS], const int r, const int first, const uint target,
                               const int left)
{
  float tops[2] = {logits[2 * r], logits[2 * r + 1]};
#pragma unroll
  for (int j = 1; j < SUMS / 4; ++j)
#pragma unroll
    for (int e = 0; e < 2; ++e)
      tops[e] = fmax(tops[e], logits[4 * j + 2 * r + e]);
  const float top = fmax(tops[0], tops[1]);
  const float higher = fmax(row->maximum, top);
  const float reference = reference_of(higher);
  // A new maximum grows rare as tiles go by; the factor for an old one is exactly 1.
  if (higher > row->maximum) {
    const float factor = fast_exp2((reference_of(row->maximum) - reference) * LOG2_E);
    row->sum = row->maximum == -INFINITY ? 0.0f : row->sum * factor;
    row->maximum = higher;
#if ARGMAX
#pragma unroll
    for (int j = SUMS / 4 - 1; j >= 0; --j)
#pragma unroll
      for (int e = 1; e >= 0; --e)
        row->argmax = logits[4 * j + 2 * r + e] == higher ? first + 8 * j + e : row->argmax;
#endif
  }
  float sums[2] = {0.0f, 0.0f};
#pragma unroll
  for (int j = 0; j < SUMS / 4; ++j)
#pragma unroll
    for (int e = 0; e < 2; ++e)
      sums[e] += fast_exp2((logits[4 * j + 2 * r + e] - reference) * LOG2_E);
  row->sum += sums[0] + sums[1];
#if SMOOTHING
  float totals[2] = {0.0f, 0.0f};
#pragma unroll
  for (int j = 0; j < SUMS / 4; ++j)
#pragma unroll
    for (int e = 0; e < 2; ++e)
      totals[e] += 8 * j + e < left ? logits[4 * j + 2 * r + e] : 0.0f;
  row->logit_sum += totals[0] + totals[1];
#endif
  if (target < TILE_COLUMNS && target % 8 < 2) {
#pragma unroll
    for (int j = 0; j < SUMS / 4; ++j)
#pragma unroll
      for (int e = 0; e < 2; ++e)
        row->target_logit = target == (uint)(8 * j + e) ? logits[4 * j + 2 * r + e] : row->target_logit;
  }
  return top;
}

// Writes a tile's logits of row r of two, of which `left` are wanted, in pairs.
static inline void keep_logits(__global float *at, const float logits[SUMS], const int r, const int left)
{
#pragma unroll
  for (int j = 0; j < SUMS / 4; ++j)
    if (8 * j < left)
      vstore2((float2)(logits[4 * j + 2 * r], logits[4 * j + 2 * r + 1]), 0, at + 8 * j);
}

// Adds what another lane has seen of the same row, both sums being relative to their maxima, or to 0 where those are
// infinite.
static inline void merge_row(row_t *row, const uint lanes)
{
  const float maximum = from_lane_xor(row->maximum, lanes);
  const float sum = from_lane_xor(row->sum, lanes);
  const float higher = fmax(row->maximum, maximum);
  const float shift = reference_of(higher);
  // A sum is relative to 0 where its maximum is infinite; an empty one is 0 and its factor exp(-inf) = 0 keeps it so.
  const float own_shift = row->maximum == INFINITY ? 0.0f : row->maximum;
  const float other_shift = maximum == INFINITY ? 0.0f : maximum;
#if ARGMAX
  const int argmax = as_int(from_lane_xor(as_float(row->argmax), lanes));
  row->argmax = maximum > row->maximum    ? argmax
                : maximum < row->maximum ? row->argmax
                                          : min(row->argmax, argmax);
#endif
  row->sum = row->sum * fast_exp2((own_shift - shift) * LOG2_E) + sum * fast_exp2((other_shift - shift) * LOG2_E);
  row->maximum = higher;
  row->target_logit = fmax(row->target_logit, from_lane_xor(row->target_logit, lanes));
#if SMOOTHING
  row->logit_sum += from_lane_xor(row->logit_sum, lanes);
#endif
}

__kernel __attribute__((reqd_work_group_size(WORK_ITEMS, 1, 1)))
void tilecl_linear_cross_entropy_partials_hopper(
    __global const uchar *maps, __global const int *targets, const int tokens, const int vocabulary,
    const int hidden_size, const int columns_per_split, const int splits, const int raster_rows, const float scale,
    __global float *partials, __global ushort *tile_maxima, __global float *kept,
    const int kept_stride BIAS_PARAMETERS SOFTCAP_PARAMETER)
{
  GROUPS_AT_ONCE(1);
  __local uchar memory[LOCAL_BYTES] __attribute__((aligned(1024)));
  const uint base = LOCAL_ADDRESS(memory);
  const int thread = (int)get_local_id(0);
  // The same in a whole warp, which the compiler has to know.
  const int warp = (int)from_first_lane((uint)thread / 32);
  const int warpgroup = warp / 4 - !SELF_FED;
  const work_t work = {(ulong)maps, CEIL_DIV(tokens, TILE_ROWS), splits, (uint)columns_per_split, (uint)vocabulary,
                       raster_rows, CEIL_DIV(hidden_size, STEP_DEPTH)};
  cursor_t next;
  start_ring(base, &next, &work);

#if !SELF_FED
  if (warpgroup < 0) {
    GIVE_REGISTERS(COPYING_REGISTERS);
    if (thread == 0)
      fill_stages(base, &next, &work);
  } else
#endif
  {
#if !SELF_FED
    TAKE_REGISTERS(COMPUTING_REGISTERS);
#endif
    const ulong a = own_rows(base, warpgroup);
    const ulong b = all_columns(base);
    const int lane = thread % 32;
    const int own_row = warpgroup * OWN_ROWS + warp % 4 * 16 + lane / 4;
    const int own_column = 2 * (lane % 4);
    const ulong plane = (ulong)splits * tokens;
    float logits[ROW_BLOCKS][SUMS];
    ring_t ring = {0, 0};
    FOR_EACH_ITEM(number, work) {
      const item_t item = item_of(number, &work);
      const int first_row = item.row + own_row;
      row_t rows[ROWS];
      uint target[ROWS];
#pragma unroll
      for (int r = 0; r < ROWS; ++r) {
        const int token = min(first_row + ROW_OF(r), tokens - 1);
        target[r] = (uint)targets[token];
        start_row(&rows[r]);
      }
      for (uint column = item.column; column < item.end; column += TILE_COLUMNS) {
        release_stage(base, multiply(base, &ring, logits, a, b, work.steps, &next, &work), &next, &work);
        const int first = (int)column + own_column;
        const int left = (int)(item.end - column) - own_column;
#pragma unroll
        for (int i = 0; i < ROW_BLOCKS; ++i) {
#pragma unroll
          for (int g = 0; g < TILE_COLUMNS / 64; ++g)
            finish_logits(logits[i] + 32 * g, left - 64 * g, scale BIAS_ARGUMENT(first + 64 * g) SOFTCAP_ARGUMENT);
          if (item.end - column < TILE_COLUMNS) {
#pragma unroll
            for (int k = 0; k < SUMS; ++k)
              if (8 * (k / 4) + k % 2 >= left)
                logits[i][k] = -INFINITY;
          }
#pragma unroll
          for (int r = 0; r < 2; ++r) {
            const int token = first_row + ROW_OF(2 * i + r);
            if (KEEP_LOGITS && token < tokens)
              keep_logits(kept + (ulong)token * kept_stride + first, logits[i], r, min(left, kept_stride - first));
            const float top =
                take_logits(&rows[2 * i + r], logits[i], r, first, target[2 * i + r] - (uint)first, left);
            if (TILE_MAXIMA) {
              const float pair = fmax(top, from_lane_xor(top, 1));
              const float all = fmax(pair, from_lane_xor(pair, 2));
              if (lane % 4 == 0 && token < tokens)
                tile_maxima[(ulong)(column / TILE_COLUMNS) * tokens + token] = upper_half(all);
            }
          }
        }
      }
#pragma unroll
      for (int r = 0; r < ROWS; ++r) {
        merge_row(&rows[r], 1);
        merge_row(&rows[r], 2);
        const int token = first_row + ROW_OF(r);
        if (lane % 4 == 0 && token < tokens) {
          __global float *at = partials + (ulong)item.split * tokens + token;
          at[0] = rows[r].maximum;
          at[plane] = rows[r].sum;
          at[2 * plane] = rows[r].target_logit;
#if SMOOTHING
          at[PLANE_WEIGHTED * plane] = rows[r].logit_sum;
#endif
#if ARGMAX
          at[PLANE_ARGMAX * plane] = as_float(rows[r].argmax);
#endif
        }
      }
    }
  }
}
