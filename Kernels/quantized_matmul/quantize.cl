// Group quantization of a weight matrix, and its inverse.
//
//   w[n, k] = scale[n, g] * code[n, k] + offset[n, g],   g = k / group_size     symmetric: offset = -MIDPOINT * scale
//
// Layout   weights float32, float16 or bfloat16 [N][K], rows weights_stride elements apart;
//          codes uint [N][words_per_row], 32 / BITS codes a word, the lowest k lowest, rows padded with zero bits;
//          scales, offsets float [N][groups_per_row] (offsets in the affine scheme only, else null).
// Work     quantize: one work-item a group, any work-group size. dequantize: one work-item a weight, ids (k, n).
// Local    none.
// Keys     STORAGE; BITS 4 or 8.
// Needs    group_size a multiple of 8, or at least K.
//
// Codes and scales are the same on every device and on the host. So there is no division whose rounding matters: the
// scale comes from a multiplication, and a code's rounding is decided by an exact remainder. Numbers that a device may
// flush to zero are treated as zero on purpose, and nothing is contracted behind our back.

#pragma OPENCL FP_CONTRACT OFF

#ifndef BITS
#define BITS 4
#endif

#define CODES_PER_WORD (32 / BITS)
// The weights that are quantized together; they fill WORDS words.
#define UNIT 8
#define WORDS (UNIT / CODES_PER_WORD)
#define LEVELS (1 << BITS)
#define MIDPOINT (LEVELS / 2)

#define LARGEST_WEIGHT 0x1p126f
#define SMALLEST_NORMAL 0x1p-126f
#define SMALLEST_SCALE 0x1p-125f

static inline float8 flush(float8 w)
{
  return fabs(w) < SMALLEST_NORMAL ? (float8)(0.0f) : w;
}

// The weights k ..< k + 8 of a row, the first of them repeated from `end` on.
static inline float8 load_weights(__global const storage_t *row, uint k, uint end)
{
  if (k + UNIT <= end) {
#if STORAGE == STORAGE_FLOAT32
    return flush(vload8(0, row + k));
#elif STORAGE == STORAGE_FLOAT16
    return flush(vload_half8(0, (__global const half *)(row + k)));
#else
    return flush(as_float8(convert_uint8(vload8(0, row + k)) << 16));
#endif
  }
  float tail[UNIT];
  for (uint i = 0; i < UNIT; ++i)
    tail[i] = load_storage(row, k + i < end ? k + i : k);
  return flush(vload8(0, tail));
}

// The integers nearest to the exact quotients d / scale, ties to even.
static inline float8 divide_rounding(float8 d, float scale)
{
  const float8 q = rint(d / scale);
  // The quotients above may be off by a few ulp, so q by one where d / scale lies near a tie. The remainder is exact
  // wherever that can matter, and half a scale is a normal number.
  const float8 half_scale = (float8)(0.5f * fabs(scale));
  const float8 r = fma(-q, (float8)(scale), d);
  const float8 beyond = scale < 0.0f ? -r : r;
  const int8 odd = (convert_int8(q) & 1) != 0;
  const int8 up = (beyond > half_scale) | ((beyond == half_scale) & odd);
  const int8 down = (beyond < -half_scale) | ((beyond == -half_scale) & odd);
  // A true comparison is -1.
  return q - convert_float8(up) + convert_float8(down);
}

// The codes of weights d above the offset; zero_code stands for the offset itself.
static inline uint8 encode(float8 d, float scale, uint zero_code)
{
  if (scale == 0.0f)
    return (uint8)(zero_code);
  return convert_uint8(clamp(divide_rounding(d, scale) + (float)zero_code, 0.0f, (float)(LEVELS - 1)));
}

// A weight that is not finite, or too large, makes its row a candidate for first_bad_row, which the host sets to the
// largest uint beforehand; the codes of that group are then undefined.
__kernel void tilecl_quantized_matmul_quantize(
    __global const storage_t *weights, ulong weights_offset, ulong weights_stride, __global uint *codes,
    __global float *scales, __global float *offsets, uint N, uint K, uint group_size, uint words_per_row,
    uint groups_per_row, uint symmetric, volatile __global uint *first_bad_row)
{
  const size_t id = get_global_id(0);
  const uint n = (uint)(id / groups_per_row);
  const uint g = (uint)(id % groups_per_row);
  if (n >= N)
    return;
  __global const storage_t *row = weights + weights_offset + n * weights_stride;
  const uint begin = g * group_size;
  const uint end = K - begin < group_size ? K : begin + group_size;

  float8 lows = (float8)(INFINITY);
  float8 highs = (float8)(-INFINITY);
  int8 good = (int8)(-1);
  for (uint k = begin; k < end; k += UNIT) {
    const float8 w = load_weights(row, k, end);
    good &= fabs(w) <= LARGEST_WEIGHT;
    lows = w < lows ? w : lows;
    highs = w > highs ? w : highs;
  }
  if (!all(good)) {
    atomic_min(first_bad_row, n);
    return;
  }
  const float4 low4 = fmin(lows.lo, lows.hi);
  const float4 high4 = fmax(highs.lo, highs.hi);
  const float low = fmin(fmin(low4.x, low4.y), fmin(low4.z, low4.w));
  const float high = fmax(fmax(high4.x, high4.y), fmax(high4.z, high4.w));

  float step;
  float scale;
  float offset = 0.0f;
  if (symmetric) {
    // The larger side takes the MIDPOINT levels below zero, exactly; the other side must stay within half a step.
    const float positive = fmax(high, 0.0f);
    const float negative = fmax(-low, 0.0f);
    step = fmax(fmax(positive, negative) * (1.0f / MIDPOINT), fmin(positive, negative) * (1.0f / (MIDPOINT - 0.5f)));
    scale = positive >= negative ? -step : step;
  } else {
    step = (high - low) * (1.0f / (LEVELS - 1));
    scale = step;
    offset = low;
    offsets[(size_t)n * groups_per_row + g] = offset;
  }
  if (step < SMALLEST_SCALE)
    scale = 0.0f;
  scales[(size_t)n * groups_per_row + g] = scale;

  const uint zero_code = symmetric ? MIDPOINT : 0;
  __global uint *code_row = codes + (size_t)n * words_per_row;
  uint word = begin / CODES_PER_WORD;
  for (uint k = begin; k < end; k += UNIT, word += WORDS) {
    uint8 unit = encode(load_weights(row, k, end) - offset, scale, zero_code);
    // Codes that the row does not have are zero.
    unit = k + (uint8)(0, 1, 2, 3, 4, 5, 6, 7) < end ? unit : (uint8)(0);
#if BITS == 4
    unit <<= (uint8)(0, 4, 8, 12, 16, 20, 24, 28);
    const uint4 half_unit = unit.lo | unit.hi;
    code_row[word] = half_unit.x | half_unit.y | half_unit.z | half_unit.w;
#else
    unit <<= (uint8)(0, 8, 16, 24, 0, 8, 16, 24);
    code_row[word] = unit.s0 | unit.s1 | unit.s2 | unit.s3;
    code_row[word + 1] = unit.s4 | unit.s5 | unit.s6 | unit.s7;
#endif
  }
  if (g == groups_per_row - 1)
    for (; word < words_per_row; ++word)
      code_row[word] = 0;
}

__kernel void tilecl_quantized_matmul_dequantize(
    __global const uint *codes, __global const float *scales, __global const float *offsets,
    __global storage_t *weights, ulong weights_offset, ulong weights_stride, uint N, uint K, uint group_size,
    uint words_per_row, uint groups_per_row, uint symmetric)
{
  const uint k = (uint)get_global_id(0);
  if (k >= K)
    return;
  // Any number of rows at a time.
  for (size_t n = get_global_id(1); n < N; n += get_global_size(1)) {
    const uint word = codes[n * words_per_row + k / CODES_PER_WORD];
    const uint code = (word >> (k % CODES_PER_WORD * BITS)) & (LEVELS - 1);
    const size_t group = n * groups_per_row + k / group_size;
    const float scale = scales[group];
    // Not scale * (code - MIDPOINT), which would make a negative zero of the midpoint under a negative scale.
    const float offset = symmetric ? -(float)MIDPOINT * scale : offsets[group];
    store_storage(weights, weights_offset + n * weights_stride + k, fma(scale, (float)code, offset));
  }
}
