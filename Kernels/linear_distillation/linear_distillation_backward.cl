// Distillation, backward: gradients by the student's products, and what surrounds the products made of them.
//
//   KL(q|p)          g = p - q
//   KL(p|q)          g = p (ln p - ln q - K)                 K = sum_v p (ln p - ln q)
//   Jensen-Shannon   g = (1 - beta) p (ln p - ln m - K)      K = sum_v p (ln p - ln m)
//   x[n,v] = coefficient[n] (1 - (z / softcap)^2) g[n,v]     dE = x C, dC = x^T E, db = sum_n x
//
//   tilecl_linear_distillation_coefficients   upstream gradients, weights, reduction and scale of each token in one
//   tilecl_linear_distillation_range          fp16 alone: a power of two that keeps all x in range
//   tilecl_linear_distillation_gradients      x of a wave
//   tilecl_linear_distillation_bias_parts     sums of x over BIAS_ROWS tokens
//   tilecl_linear_distillation_bias           the sums of these
//   tilecl_linear_distillation_round          sums of products, rounded to STORAGE
//
// x is stored as STORAGE, as an operand of products has to be; in fp32 it takes the place of the student's products.
// fp16 holds neither the gradients of improbable classes nor all loss scales, so x is then multiplied by range[0], and
// sums by range[1], its inverse; both are powers of two, which costs no rounding.
//
// Layout: products and statistics as in common.clh; x as the products, rows x_stride apart; parts [block][column] of
// the wave, fp32; sums, dC, dE and db without gaps.
// Work-group: (WORK_GROUP_SIZE, 1, 1). `coefficients`: an item for each token, with some to spare; `range`: one group;
// `gradients`: a group for each token; `bias_parts`: a group for each CHUNK columns of a block, with groups counting
// along a block first; `bias` and `round`: a group for each CHUNK elements. Local memory: WORK_GROUP_SIZE floats for
// `range`.
// Tunables: those of common/rows.clh, BIAS_ROWS.
//
// Needs: ../common/vectors.clh
// Needs: ../common/rows.clh
// Check: -D VECTOR=8 -D WORK_GROUP_SIZE=1

#ifndef BIAS_ROWS
#define BIAS_ROWS 64
#endif

// factor has T^2, the scale over T and, unless a denominator is given, one over the divisor.
__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_linear_distillation_coefficients(const ulong tokens, const float factor,
                                             __global const float *upstream /* or 0 */, const ulong upstream_offset,
                                             const ulong upstream_stride, __global const float *weights /* or 0 */,
                                             const ulong weights_offset, __global const int *targets /* or 0 */,
                                             const ulong targets_offset, const int ignore_index,
                                             __global const float *denominator /* or 0 */,
                                             __global float *coefficients)
{
  const ulong n = get_global_id(0);
  if (n >= tokens)
    return;
  const int is_ignored = targets && targets[targets_offset + n] == ignore_index;
  const float weight = is_ignored ? 0.0f : weights ? weights[weights_offset + n] : 1.0f;
  const float given = upstream ? upstream[upstream_offset + n * upstream_stride] : 1.0f;
  const float by = denominator ? denominator[0] : 1.0f;
  // What is left out has no gradient even where upstream is not finite.
  coefficients[n] = weight == 0.0f || by == 0.0f ? 0.0f : given * (factor * weight / by);
}

// range[0] brings the largest bound of an |x| to 2^14 up to 2^15, range[1] is its inverse. |g| is at most 1 but for
// KL(p|q), where p |ln p| < 1, -p ln q <= K + ln V and p K <= K.
__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_linear_distillation_range(const ulong tokens, __global const float *coefficients,
                                      __global const float *statistics, const int divergence,
                                      const float log_vocabulary, __global float *range)
{
  __local float scratch[WORK_GROUP_SIZE];

  const uint item = (uint)get_local_id(0);
  float largest = 0.0f;
  for (ulong n = item; n < tokens; n += WORK_GROUP_SIZE) {
    const float center = statistics[PLANE_CENTER * tokens + n];
    const float bound = divergence == REVERSE_KL ? 2.0f * fabs(center) + log_vocabulary + 1.0f : 1.0f;
    largest = fmax(largest, fabs(coefficients[n]) * bound);
  }
  scratch[item] = largest;
  barrier(CLK_LOCAL_MEM_FENCE);
  if (item != 0)
    return;
  for (uint i = 1; i < WORK_GROUP_SIZE; ++i)
    largest = fmax(largest, scratch[i]);
  // Where nothing is finite there is nothing to keep. Exponents stay where inverses are normal numbers too.
  const int exponent = largest > 0.0f && largest < INFINITY ? clamp(14 - ilogb(largest), -100, 100) : 0;
  range[0] = ldexp(1.0f, exponent);
  range[1] = ldexp(1.0f, -exponent);
}

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_linear_distillation_gradients(WAVE_PARAMETERS, const ulong tokens, const int divergence,
                                          const float beta, __global const float *statistics,
                                          __global const float *coefficients, __global const float *range /* or 0 */,
                                          __global storage_t *x, const ulong x_stride)
{
  const ulong n = get_group_id(0);
  const side_t z_side = SIDE(z, n);
  const side_t u_side = SIDE(u, n);
  __global const float *token = statistics + n;
  const float z_maximum = token[PLANE_Z_MAXIMUM * tokens];
  const float z_log = token[PLANE_Z_SUM * tokens];
  const float u_maximum = token[PLANE_U_MAXIMUM * tokens];
  const float u_log = token[PLANE_U_SUM * tokens];
  const float center = token[PLANE_CENTER * tokens];
  const float coefficient = coefficients[n] * (range ? range[0] : 1.0f);
  FOR_COLUMNS(c, 0, classes) {
    const ulong count = classes - c;
    vec_t gradient = 0.0f;
    if (coefficient != 0.0f) {
      const vec_t z = logit(z_side, c, count);
      const vec_t log_p = z - z_maximum - z_log;
      const vec_t log_q = logit(u_side, c, count) - u_maximum - u_log;
      const vec_t p = exp(log_p);
      vec_t g;
      if (divergence == FORWARD_KL)
        g = p - exp(log_q);
      else if (divergence == REVERSE_KL)
        g = weighted(p, log_p - log_q - center);
      else
        g = (1.0f - beta) * weighted(p, mixture_ratios(log_p, log_q, beta).student - center);
      const vec_t bend = z_softcap > 0.0f ? z / z_softcap : (vec_t)(0.0f);
      gradient = coefficient * (1.0f - bend * bend) * g;
    }
    store_some(x, n * x_stride + c, count, gradient);
  }
}

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_linear_distillation_bias_parts(__global const storage_t *x, const ulong x_stride, const ulong tokens,
                                           const ulong classes, __global float *parts)
{
  const ulong chunks = CEIL_DIV(classes, (ulong)CHUNK);
  const ulong block = get_group_id(0) / chunks;
  const ulong first = get_group_id(0) % chunks * CHUNK;
  const ulong end = min(first + CHUNK, classes);
  const ulong end_row = min((block + 1) * BIAS_ROWS, tokens);
  FOR_COLUMNS(c, first, end) {
    vec_t sum = 0.0f;
    for (ulong n = block * BIAS_ROWS; n < end_row; ++n)
      sum += load_some(x, n * x_stride + c, end - c);
    store_some_floats(parts, block * classes + c, end - c, sum);
  }
}

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_linear_distillation_bias(__global const float *parts, const ulong blocks, const ulong classes,
                                     __global const float *range /* or 0 */, __global storage_t *gradient,
                                     const ulong first_class)
{
  const ulong first = get_group_id(0) * CHUNK;
  const ulong end = min(first + CHUNK, classes);
  const float factor = range ? range[1] : 1.0f;
  FOR_COLUMNS(c, first, end) {
    vec_t sum = 0.0f;
    for (ulong block = 0; block < blocks; ++block)
      sum += load_some_floats(parts, block * classes + c, end - c);
    store_some(gradient, first_class + c, end - c, factor * sum);
  }
}

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_linear_distillation_round(__global const float *sums, const ulong count,
                                      __global const float *range /* or 0 */, __global storage_t *rounded,
                                      const ulong offset)
{
  const ulong first = get_group_id(0) * CHUNK;
  const ulong end = min(first + CHUNK, count);
  const float factor = range ? range[1] : 1.0f;
  FOR_COLUMNS(i, first, end) {
    store_some(rounded, offset + i, end - i, factor * load_some_floats(sums, i, end - i));
  }
}
