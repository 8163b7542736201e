// Distillation, forward: the divergence of a student's distributions from a teacher's, from products in waves.
//
//   KL(q|p) = sum_v q (ln q - ln p)      KL(p|q) = sum_v p (ln p - ln q)
//   Jensen-Shannon: beta KL(q|m) + (1 - beta) KL(p|m), m = beta q + (1 - beta) p
//
// Kernels, in the order of use:
//
//   tilecl_linear_distillation_statistics   a wave's maxima and sums, merged into those of the waves before
//   tilecl_linear_distillation_normalize    what follows once all classes were seen: logarithms, KL divergences
//   tilecl_linear_distillation_mixture      Jensen-Shannon alone: a wave's share of the divergence, and of the center
//   tilecl_linear_distillation_finish       losses of tokens
//   tilecl_linear_distillation_reduce       their sum, and how many tokens are not ignored
//
// With du = u - max u, dz = z - max z, both KL divergences need one pass: KL(q|p) is the mean of du - dz by the weights
// exp(du), plus the difference of the logarithms of sums. Differences of maxima take no part, so that offsets between
// the two sides cost no digits.
//
// Layout: products and statistics as in common.clh; losses, weights and LSEs [tokens], fp32; targets [tokens], int32.
// Work-group: (WORK_GROUP_SIZE, 1, 1). `statistics` and `mixture`: a group for each token; `normalize` and `finish`: an
// item for each, with some to spare; `reduce`: one group. Local memory: WORK_GROUP_SIZE floats but for those of items.
// Tunables: those of common/rows.clh but CHUNK.
// On entry: 1 or more classes in a wave; waves in one order, `is_first` being 1 in the first of each sweep.
//
// Needs: ../common/vectors.clh
// Needs: ../common/rows.clh
// Check: -D VECTOR=8 -D WORK_GROUP_SIZE=1

static inline float lane_max(const vec_t x)
{
  float_lanes_t lanes;
  lanes.vector = x;
  float maximum = lanes.lanes[0];
  for (uint lane = 1; lane < VECTOR; ++lane)
    maximum = fmax(maximum, lanes.lanes[lane]);
  return maximum;
}

// The largest of all items' x, for all of them; as group_sum.
INLINE float group_max(__local float *scratch, const float x)
{
#if WORK_GROUP_SIZE == 1
  return x;
#else
  const uint item = (uint)get_local_id(0);
  scratch[item] = x;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (uint kept = WORK_GROUP_SIZE / 2; kept > 0; kept /= 2) {
    if (item < kept)
      scratch[item] = fmax(scratch[item], scratch[item + kept]);
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  const float maximum = scratch[0];
  barrier(CLK_LOCAL_MEM_FENCE);
  return maximum;
#endif
}

typedef struct {
  float z_maximum;
  float z_sum;
  float u_maximum;
  float u_sum;
  float moment;  // the sum of the weighted side's exponentials times its difference to the other side's
} statistics_t;

// The statistics of two parts' classes.
static inline statistics_t merged(const statistics_t a, const statistics_t b, const int divergence)
{
  statistics_t both;
  both.z_maximum = fmax(a.z_maximum, b.z_maximum);
  both.u_maximum = fmax(a.u_maximum, b.u_maximum);
  const float z_shift = finite_or_zero(both.z_maximum);
  const float u_shift = finite_or_zero(both.u_maximum);
  both.z_sum = both.u_sum = both.moment = 0.0f;
  for (uint part = 0; part < 2; ++part) {
    const statistics_t own = part == 0 ? a : b;
    const float z_step = finite_or_zero(own.z_maximum) - z_shift;
    const float u_step = finite_or_zero(own.u_maximum) - u_shift;
    // Without a finite logit there is no sum, and no step that means anything.
    const float z_factor = own.z_maximum == -INFINITY ? 0.0f : exp(z_step);
    const float u_factor = own.u_maximum == -INFINITY ? 0.0f : exp(u_step);
    if (z_factor != 0.0f)
      both.z_sum += z_factor * own.z_sum;
    if (u_factor != 0.0f)
      both.u_sum += u_factor * own.u_sum;
    const int is_reverse = divergence == REVERSE_KL;
    const float factor = is_reverse ? z_factor : u_factor;
    const float step = is_reverse ? z_step - u_step : u_step - z_step;
    if (factor != 0.0f)
      both.moment += factor * (own.moment + step * (is_reverse ? own.z_sum : own.u_sum));
  }
  return both;
}

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_linear_distillation_statistics(WAVE_PARAMETERS, const ulong tokens, const int divergence,
                                           const int is_first, __global float *statistics)
{
  __local float scratch[WORK_GROUP_SIZE];

  const ulong n = get_group_id(0);
  const side_t z_side = SIDE(z, n);
  const side_t u_side = SIDE(u, n);
  vec_t z_top = -INFINITY, u_top = -INFINITY;
  FOR_COLUMNS(c, 0, classes) {
    z_top = fmax(z_top, scaled(z_side, c, classes - c));
    u_top = fmax(u_top, scaled(u_side, c, classes - c));
  }
  // The softcap keeps the order.
  statistics_t own;
  own.z_maximum = capped(group_max(scratch, lane_max(z_top)), z_softcap).s0;
  own.u_maximum = capped(group_max(scratch, lane_max(u_top)), u_softcap).s0;
  const float z_shift = finite_or_zero(own.z_maximum);
  const float u_shift = finite_or_zero(own.u_maximum);
  vec_t z_sum = 0.0f, u_sum = 0.0f, moment = 0.0f;
  FOR_COLUMNS(c, 0, classes) {
    const vec_t dz = logit(z_side, c, classes - c) - z_shift;
    const vec_t du = logit(u_side, c, classes - c) - u_shift;
    const vec_t z_term = exp(dz);
    const vec_t u_term = exp(du);
    z_sum += z_term;
    u_sum += u_term;
    moment += divergence == REVERSE_KL ? weighted(z_term, dz - du) : weighted(u_term, du - dz);
  }
  own.z_sum = group_sum(scratch, lane_sum(z_sum));
  own.u_sum = group_sum(scratch, lane_sum(u_sum));
  own.moment = group_sum(scratch, lane_sum(moment));
  if (get_local_id(0) != 0)
    return;
  __global float *token = statistics + n;
  if (!is_first) {
    const statistics_t before = {
      token[PLANE_Z_MAXIMUM * tokens], token[PLANE_Z_SUM * tokens], token[PLANE_U_MAXIMUM * tokens],
      token[PLANE_U_SUM * tokens], token[PLANE_DIVERGENCE * tokens]};
    own = merged(before, own, divergence);
  }
  token[PLANE_Z_MAXIMUM * tokens] = own.z_maximum;
  token[PLANE_Z_SUM * tokens] = own.z_sum;
  token[PLANE_U_MAXIMUM * tokens] = own.u_maximum;
  token[PLANE_U_SUM * tokens] = own.u_sum;
  token[PLANE_DIVERGENCE * tokens] = own.moment;
}

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_linear_distillation_normalize(const ulong tokens, const int divergence, __global float *statistics,
                                          __global float *z_lse, __global float *u_lse)
{
  const ulong n = get_global_id(0);
  if (n >= tokens)
    return;
  __global float *token = statistics + n;
  const float z_maximum = finite_or_zero(token[PLANE_Z_MAXIMUM * tokens]);
  const float u_maximum = finite_or_zero(token[PLANE_U_MAXIMUM * tokens]);
  const float z_sum = token[PLANE_Z_SUM * tokens];
  const float u_sum = token[PLANE_U_SUM * tokens];
  const float z_log = log(z_sum);
  const float u_log = log(u_sum);
  const float moment = token[PLANE_DIVERGENCE * tokens];
  const float value =
    divergence == REVERSE_KL ? moment / z_sum + (u_log - z_log) : moment / u_sum + (z_log - u_log);
  token[PLANE_Z_MAXIMUM * tokens] = z_maximum;
  token[PLANE_Z_SUM * tokens] = z_log;
  token[PLANE_U_MAXIMUM * tokens] = u_maximum;
  token[PLANE_U_SUM * tokens] = u_log;
  token[PLANE_DIVERGENCE * tokens] = value;
  token[PLANE_CENTER * tokens] = value;
  z_lse[n] = z_maximum + z_log;
  u_lse[n] = u_maximum + u_log;
}

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_linear_distillation_mixture(WAVE_PARAMETERS, const ulong tokens, const float beta, const int is_first,
                                        __global float *statistics)
{
  __local float scratch[WORK_GROUP_SIZE];

  const ulong n = get_group_id(0);
  const side_t z_side = SIDE(z, n);
  const side_t u_side = SIDE(u, n);
  __global float *token = statistics + n;
  const float z_maximum = token[PLANE_Z_MAXIMUM * tokens];
  const float z_log = token[PLANE_Z_SUM * tokens];
  const float u_maximum = token[PLANE_U_MAXIMUM * tokens];
  const float u_log = token[PLANE_U_SUM * tokens];
  vec_t divergence = 0.0f, center = 0.0f;
  FOR_COLUMNS(c, 0, classes) {
    const vec_t log_p = logit(z_side, c, classes - c) - z_maximum - z_log;
    const vec_t log_q = logit(u_side, c, classes - c) - u_maximum - u_log;
    const ratios_t ratios = mixture_ratios(log_p, log_q, beta);
    const vec_t student = weighted(exp(log_p), ratios.student);
    // Each class's two terms are nearly opposite where the sides are close; their sum is small at once.
    divergence += beta * weighted(exp(log_q), ratios.teacher) + (1.0f - beta) * student;
    center += student;
  }
  const float own_divergence = group_sum(scratch, lane_sum(divergence));
  const float own_center = group_sum(scratch, lane_sum(center));
  if (get_local_id(0) != 0)
    return;
  token[PLANE_DIVERGENCE * tokens] = (is_first ? 0.0f : token[PLANE_DIVERGENCE * tokens]) + own_divergence;
  token[PLANE_CENTER * tokens] = (is_first ? 0.0f : token[PLANE_CENTER * tokens]) + own_center;
}

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_linear_distillation_finish(const ulong tokens, const float factor,
                                       __global const float *weights /* or 0 */, const ulong weights_offset,
                                       __global const int *targets /* or 0 */, const ulong targets_offset,
                                       const int ignore_index, __global const float *statistics,
                                       __global float *losses)
{
  const ulong n = get_global_id(0);
  if (n >= tokens)
    return;
  const int is_ignored = targets && targets[targets_offset + n] == ignore_index;
  const float weight = is_ignored ? 0.0f : factor * (weights ? weights[weights_offset + n] : 1.0f);
  const float value = statistics[PLANE_DIVERGENCE * tokens + n];
  // Rounding may have taken a small one below 0. What is left out is 0 even where the divergence is infinite.
  losses[n] = weight == 0.0f ? 0.0f : weight * (value < 0.0f ? 0.0f : value);
}

// total = sum_n losses[n] / denominator, with the number of tokens that are not ignored for a divisor of 0.
__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_linear_distillation_reduce(const ulong tokens, __global const float *losses,
                                       __global const int *targets /* or 0 */, const ulong targets_offset,
                                       const int ignore_index, const float divisor, __global float *total,
                                       __global float *denominator)
{
  __local float scratch[WORK_GROUP_SIZE];

  vec_t sum = 0.0f;
  float count = 0.0f;
  FOR_COLUMNS(n, 0, tokens) {
    sum += load_some_floats(losses, n, tokens - n);
    // An item's numbers are integers below 2^24 for 2^31 tokens and 128 items.
    for (ulong i = n; i < min(n + VECTOR, tokens); ++i)
      count += targets && targets[targets_offset + i] == ignore_index ? 0.0f : 1.0f;
  }
  const float all = group_sum(scratch, lane_sum(sum));
  const float counted = group_sum(scratch, count);
  if (get_local_id(0) != 0)
    return;
  const float by = divisor == 0.0f ? counted : divisor;
  total[0] = by == 0.0f ? 0.0f : all / by;
  denominator[0] = by;
}
