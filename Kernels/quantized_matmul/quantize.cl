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
#define LEVELS (1 << BITS)
#define MIDPOINT (LEVELS / 2)

#define LARGEST_WEIGHT 0x1p126f
#define SMALLEST_NORMAL 0x1p-126f
#define SMALLEST_SCALE 0x1p-125f

inline float load_weight(__global const storage_t *row, uint k)
{
  const float w = load_storage(row, k);
  return fabs(w) < SMALLEST_NORMAL ? 0.0f : w;
}

// The integer nearest to the exact quotient d / scale, ties to even.
inline float divide_rounding(float d, float scale)
{
  float q = rint(d / scale);
  // The quotient above may be off by a few ulp, so q by one where d / scale lies near a tie. The remainder is exact
  // wherever that can matter, and half a scale is a normal number.
  const float half_scale = 0.5f * fabs(scale);
  const float r = fma(-q, scale, d);
  const float beyond = scale < 0.0f ? -r : r;
  const bool odd = ((int)q & 1) != 0;
  if (beyond > half_scale || (beyond == half_scale && odd))
    q += 1.0f;
  else if (beyond < -half_scale || (beyond == -half_scale && odd))
    q -= 1.0f;
  return q;
}

// The code of a weight d above the offset; zero_code stands for the offset itself.
inline uint encode(float d, float scale, uint zero_code)
{
  if (scale == 0.0f)
    return zero_code;
  return (uint)clamp(divide_rounding(d, scale) + (float)zero_code, 0.0f, (float)(LEVELS - 1));
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

  float low = INFINITY;
  float high = -INFINITY;
  bool good = true;
  for (uint k = begin; k < end; ++k) {
    const float w = load_weight(row, k);
    good = good && fabs(w) <= LARGEST_WEIGHT;
    low = fmin(low, w);
    high = fmax(high, w);
  }
  if (!good) {
    atomic_min(first_bad_row, n);
    return;
  }

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
  for (uint k = begin; k < end; k += CODES_PER_WORD, ++word) {
    const uint count = min(end - k, (uint)CODES_PER_WORD);
    uint packed = 0;
    for (uint i = 0; i < count; ++i)
      packed |= encode(load_weight(row, k + i) - offset, scale, zero_code) << (i * BITS);
    code_row[word] = packed;
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
  const uint n = (uint)get_global_id(1);
  if (k >= K || n >= N)
    return;
  const uint word = codes[(size_t)n * words_per_row + k / CODES_PER_WORD];
  const uint code = (word >> (k % CODES_PER_WORD * BITS)) & (LEVELS - 1);
  const size_t group = (size_t)n * groups_per_row + k / group_size;
  const float scale = scales[group];
  // Not scale * (code - MIDPOINT), which would make a negative zero of the midpoint under a negative scale.
  const float offset = symmetric ? -(float)MIDPOINT * scale : offsets[group];
  store_storage(weights, weights_offset + n * weights_stride + k, fma(scale, (float)code, offset));
}
