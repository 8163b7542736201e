// Linear cross-entropy, forward: what goes before and after the statistics that linear_cross_entropy.cl makes.
//
//   tilecl_linear_cross_entropy_check      a verdict on every target
//   tilecl_linear_cross_entropy_targets    the class of each token in this classifier
//   tilecl_linear_cross_entropy_combine    statistics of parts of the vocabulary, merged in order
//   tilecl_linear_cross_entropy_finish     what follows from a token's statistics
//   tilecl_linear_cross_entropy_weights    the sum of class weights
//   tilecl_linear_cross_entropy_reduce     the losses' sum
//   tilecl_linear_cross_entropy_top        the classes with the largest logits of tiles
//
// Token n of a sequence is judged by row n + shift of the targets, if that is in the same sequence. Targets are int32,
// [N] or [N][entries], of the whole vocabulary; this classifier has its classes first_class + 0..<vocabulary.
//
// A kernel for tokens has one work-item for each, in groups of any size; `weights` and `reduce` are one group of
// REDUCE_ITEMS. Local memory is what their declarations say.
//
// Check: -D SMOOTHING=1 -D HAS_WEIGHTS=1 -D SPREAD=1 -D ARGMAX=1
// Check: -D TARGETS=1 -D HAS_WEIGHTS=1
// Check: -D TARGETS=2 -D SPREAD=1 -D VECTOR=8

#ifndef REDUCE_ITEMS
#define REDUCE_ITEMS 256 // work-items of the reduction, a power of two
#endif
#ifndef PLANE_MASS
#define PLANE_MASS 3
#endif
#ifndef PLANE_WEIGHTED
#define PLANE_WEIGHTED 4
#endif
#ifndef PLANE_SPREAD
#define PLANE_SPREAD 5
#endif
#ifndef PLANE_ARGMAX
#define PLANE_ARGMAX 6
#endif

static inline float finite_or_zero(const float maximum)
{
  return isinf(maximum) ? 0.0f : maximum;
}

// verdicts[0]: ~n for the first row n of the targets that has something which is neither ignore_index nor a class of
// the whole vocabulary; verdicts[1]: the same for `selected` and the classes of this classifier. Both are to be 0, and
// stay so where nothing is wrong.
__kernel void tilecl_linear_cross_entropy_check(
    uint tokens, uint entries, __global const int *targets, ulong target_offset, ulong target_stride, int ignore_index,
    uint whole_vocabulary, uint selected_entries, __global const int *selected, ulong selected_offset,
    ulong selected_stride, uint vocabulary, __global uint *verdicts)
{
  const uint n = get_global_id(0);
  if (n >= tokens)
    return;
  for (uint e = 0; e < entries; ++e) {
    const int index = targets[target_offset + n * target_stride + e];
    if (index != ignore_index && (uint)index >= whole_vocabulary)
      atomic_max(verdicts, ~n);
  }
  for (uint e = 0; e < selected_entries; ++e)
    if ((uint)selected[selected_offset + n * selected_stride + e] >= vocabulary)
      atomic_max(verdicts + 1, ~n);
}

// classes[n]: with TARGETS_PROBABILITIES the row of probabilities, else the class in this classifier; -1 for none.
__kernel void tilecl_linear_cross_entropy_targets(
    __global const int *targets, ulong target_offset, ulong target_stride, int ignore_index, uint tokens,
    uint sequence_length, int shift, uint first_class, uint vocabulary, __global int *classes)
{
  const uint n = get_global_id(0);
  if (n >= tokens)
    return;
  const int row = target_row(n, sequence_length, shift);
#if TARGETS == TARGETS_PROBABILITIES
  classes[n] = row;
#else
  int found = -1;
  if (row >= 0) {
    const int target = targets[target_offset + row * target_stride];
    if (target != ignore_index && target >= 0 && (uint)target - first_class < vocabulary)
      found = (int)((uint)target - first_class);
  }
  classes[n] = found;
#endif
}

// statistics[plane][n] of parts[plane * plane_stride + part * part_stride + n]. With TARGETS_TOP and `found` not null,
// target and mass come from the gathered logits of the targets. argmax_base is added to the parts' classes.
__kernel void tilecl_linear_cross_entropy_combine(
    __global const float *parts, ulong plane_stride, ulong part_stride, uint part_count, uint tokens,
    __global const float *found, uint entries, __global const int *targets, ulong target_offset, ulong target_stride,
    int ignore_index, __global const storage_t *probabilities, ulong probability_offset, ulong probability_stride,
    __global const float *weights, uint sequence_length, int shift, uint first_class, uint vocabulary, uint argmax_base,
    __global float *statistics)
{
  const uint n = get_global_id(0);
  if (n >= tokens)
    return;
  float maximum = -INFINITY;
  for (uint part = 0; part < part_count; ++part)
    maximum = fmax(maximum, parts[part * part_stride + n]);
  // Relative to 0 where the maximum is infinite; the sum is then infinite, 0 or NaN by itself.
  const float shift_to = finite_or_zero(maximum);
  float sum = 0.0f, target = TARGETS == TARGETS_CLASSES ? -INFINITY : 0.0f;
#if TARGETS != TARGETS_CLASSES
  float mass = 0.0f;
#endif
#if SMOOTHING
  float weighted = 0.0f;
#endif
#if SPREAD
  float spread = 0.0f;
#endif
#if ARGMAX
  int argmax = INT_MAX;
#endif
  for (uint part = 0; part < part_count; ++part) {
    __global const float *own = parts + part * part_stride + n;
    const float own_maximum = own[0];
    const float step = (own_maximum == INFINITY ? 0.0f : own_maximum) - shift_to;
    const float factor = exp(step);
    const float own_sum = own[plane_stride];
    sum += factor * own_sum;
#if TARGETS == TARGETS_CLASSES
    target = fmax(target, own[2 * plane_stride]);
#else
    target += own[2 * plane_stride];
    mass += own[PLANE_MASS * plane_stride];
#endif
#if SMOOTHING
    weighted += own[PLANE_WEIGHTED * plane_stride];
#endif
#if SPREAD
    spread += factor == 0.0f ? 0.0f : factor * (own[PLANE_SPREAD * plane_stride] + step * own_sum);
#endif
#if ARGMAX
    if (own_maximum == maximum)
      argmax = min(argmax, ((__global const int *)own)[PLANE_ARGMAX * plane_stride]);
#endif
  }
#if TARGETS == TARGETS_TOP
  if (found) {
    target = mass = 0.0f;
    const int row = target_row(n, sequence_length, shift);
    for (uint e = 0; row >= 0 && e < entries; ++e) {
      const int index = targets[target_offset + row * target_stride + e];
      if (index == ignore_index || (uint)index - first_class >= vocabulary)
        continue;
      const float share = (HAS_WEIGHTS ? weights[index] : 1.0f) *
                          load_storage(probabilities, probability_offset + row * probability_stride + e);
      mass += share;
      target += share == 0.0f ? 0.0f : share * found[(size_t)n * entries + e];
    }
  }
#endif
  statistics[n] = maximum;
  statistics[tokens + n] = sum;
  statistics[2 * (size_t)tokens + n] = target;
#if TARGETS != TARGETS_CLASSES
  statistics[PLANE_MASS * (size_t)tokens + n] = mass;
#endif
#if SMOOTHING
  statistics[PLANE_WEIGHTED * (size_t)tokens + n] = weighted;
#endif
#if SPREAD
  statistics[PLANE_SPREAD * (size_t)tokens + n] = spread;
#endif
#if ARGMAX
  ((__global int *)statistics)[PLANE_ARGMAX * (size_t)tokens + n] =
      argmax == INT_MAX ? INT_MAX : argmax + (int)argmax_base;
#endif
}

#define WANTS_LOG_PROBABILITIES 1u
#define WANTS_ENTROPY 2u
#define WANTS_ARGMAX 4u

// Of the token: LSE, and what rounding took from it (low); Σ w q of the targets (masses), for class targets w; its
// loss, times its weight; and what `wants` asks for.
//
//   loss = u (sum_v w ((1 - a) q + a / V) (LSE - z) + zeta LSE^2)
__kernel void tilecl_linear_cross_entropy_finish(
    __global const float *statistics, uint tokens, __global const int *targets, ulong target_offset,
    ulong target_stride, int ignore_index, __global const float *weights, __global const float *weight_sum,
    __global const float *token_weights, ulong token_weight_offset, ulong token_weight_stride, uint sequence_length,
    int shift, uint whole_vocabulary, float smoothing, float z_weight, uint wants, __global float *lse,
    __global float *low, __global float *masses, __global float *losses, __global float *log_probabilities,
    __global float *entropies, __global int *argmaxes)
{
  const uint n = get_global_id(0);
  if (n >= tokens)
    return;
  const float maximum = statistics[n];
  const float from = finite_or_zero(maximum);
  const float log_sum = log(statistics[tokens + n]);
  const float target = statistics[2 * (size_t)tokens + n];
  const float whole = log_sum + from;
  lse[n] = whole;
  // Knuth's two-sum: the rounding error of the last sum.
  const float part = whole - log_sum;
  const float rest = (log_sum - (whole - part)) + (from - part);
  low[n] = isfinite(whole) ? rest : 0.0f;

#if TARGETS == TARGETS_CLASSES
  const int row = target_row(n, sequence_length, shift);
  const int index = row < 0 ? ignore_index : targets[target_offset + row * target_stride];
  // A class that there is not is found out by the check; here it must not be read.
  const bool counts = row >= 0 && index != ignore_index && (uint)index < whole_vocabulary;
  const float mass = !counts ? 0.0f : HAS_WEIGHTS ? weights[index] : 1.0f;
  // log(s) - (t - from) keeps the digits of a small loss beside large logits, which LSE - t would round away.
  const float plain = log_sum - (target - from);
  float loss = counts ? mass * plain : 0.0f;
  if (wants & WANTS_LOG_PROBABILITIES)
    log_probabilities[n] = counts ? -plain : 0.0f;
#else
  const float mass = statistics[PLANE_MASS * (size_t)tokens + n];
  const bool counts = mass != 0.0f;
  float loss = mass * log_sum - (target - mass * from);
#endif
  masses[n] = mass;
#if SMOOTHING
  const float all = HAS_WEIGHTS ? weight_sum[0] : (float)whole_vocabulary;
  const float dense = all * log_sum - (statistics[PLANE_WEIGHTED * (size_t)tokens + n] - all * from);
  loss = (1.0f - smoothing) * loss + smoothing / (float)whole_vocabulary * dense;
#endif
  if (z_weight != 0.0f)
    loss += z_weight * whole * whole;
  if (token_weights)
    loss *= token_weights[token_weight_offset + n * token_weight_stride];
  losses[n] = counts ? loss : 0.0f;
#if SPREAD
  if (wants & WANTS_ENTROPY)
    entropies[n] = log_sum - statistics[PLANE_SPREAD * (size_t)tokens + n] / statistics[tokens + n];
#endif
#if ARGMAX
  if (wants & WANTS_ARGMAX) {
    const int best = ((__global const int *)statistics)[PLANE_ARGMAX * (size_t)tokens + n];
    argmaxes[n] = best == INT_MAX ? 0 : best;
  }
#endif
}

// Adds x to the unevaluated sum high + low without losing a bit of it to rounding (Knuth's two-sum).
static inline void add_exactly(float *high, float *low, float x)
{
  const float old = *high;
  const float new = old + x;
  const float part = new - old;
  *low += (old - (new - part)) + (x - part);
  *high = new;
}

// sum[0] = the sum of the whole vocabulary's weights.
__kernel __attribute__((reqd_work_group_size(REDUCE_ITEMS, 1, 1)))
void tilecl_linear_cross_entropy_weights(__global const float *weights, uint count, __global float *sum)
{
  __local float highs[REDUCE_ITEMS], lows[REDUCE_ITEMS];
  const uint item = get_local_id(0);
  float high = 0.0f, low = 0.0f;
  for (size_t i = item; i < count; i += REDUCE_ITEMS)
    add_exactly(&high, &low, weights[i]);
  highs[item] = high;
  lows[item] = low;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (uint half_size = REDUCE_ITEMS / 2; half_size > 0; half_size /= 2) {
    if (item < half_size) {
      float h = highs[item], l = lows[item] + lows[item + half_size];
      add_exactly(&h, &l, highs[item + half_size]);
      highs[item] = h;
      lows[item] = l;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  if (item == 0)
    sum[0] = isfinite(highs[0]) ? highs[0] + lows[0] : highs[0];
}

#define REDUCTION_NONE 0
#define REDUCTION_SUM 1
#define REDUCTION_MEAN 2
#define REDUCTION_DIVIDED 3

// denominator[0]: what a mean divides by, the number of tokens that count or the sum of their class weights.
// result[0], unless reduction is 0: the losses' sum (1), their mean (2), their sum over `divisor` (3); a mean of none
// is 0. accuracy[0], if not null: the share of tokens that count whose argmax is their target.
__kernel __attribute__((reqd_work_group_size(REDUCE_ITEMS, 1, 1)))
void tilecl_linear_cross_entropy_reduce(
    __global const float *losses, __global const float *masses, uint tokens, __global const int *targets,
    ulong target_offset, ulong target_stride, int ignore_index, uint sequence_length, int shift, int reduction,
    float divisor, __global const int *argmaxes, __global float *result, __global float *accuracy,
    __global float *denominator)
{
  __local float highs[REDUCE_ITEMS], lows[REDUCE_ITEMS], mass_highs[REDUCE_ITEMS], mass_lows[REDUCE_ITEMS];
  __local uint counts[REDUCE_ITEMS], hits[REDUCE_ITEMS];
  const uint item = get_local_id(0);
  float high = 0.0f, low = 0.0f, mass_high = 0.0f, mass_low = 0.0f;
  uint count = 0, hit = 0;
  for (size_t n = item; n < tokens; n += REDUCE_ITEMS) {
#if TARGETS == TARGETS_CLASSES
    const int row = target_row(n, sequence_length, shift);
    const int index = row < 0 ? ignore_index : targets[target_offset + row * target_stride];
    const bool is_counted = row >= 0 && index != ignore_index;
    if (is_counted && argmaxes && argmaxes[n] == index)
      ++hit;
    if (is_counted)
      add_exactly(&mass_high, &mass_low, masses[n]);
#else
    const bool is_counted = masses[n] != 0.0f;
    if (is_counted)
      add_exactly(&mass_high, &mass_low, 1.0f);
#endif
    count += is_counted;
    if (reduction != REDUCTION_NONE && is_counted)
      add_exactly(&high, &low, losses[n]);
  }
  highs[item] = high;
  lows[item] = low;
  mass_highs[item] = mass_high;
  mass_lows[item] = mass_low;
  counts[item] = count;
  hits[item] = hit;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (uint half_size = REDUCE_ITEMS / 2; half_size > 0; half_size /= 2) {
    if (item < half_size) {
      const uint other = item + half_size;
      float h = highs[item], l = lows[item] + lows[other];
      add_exactly(&h, &l, highs[other]);
      highs[item] = h;
      lows[item] = l;
      h = mass_highs[item];
      l = mass_lows[item] + mass_lows[other];
      add_exactly(&h, &l, mass_highs[other]);
      mass_highs[item] = h;
      mass_lows[item] = l;
      counts[item] += counts[other];
      hits[item] += hits[other];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  if (item == 0) {
    // An infinite sum leaves a NaN in its rounding error.
    const float sum = isfinite(highs[0]) ? highs[0] + lows[0] : highs[0];
    const float divides = isfinite(mass_highs[0]) ? mass_highs[0] + mass_lows[0] : mass_highs[0];
    denominator[0] = divides;
    if (reduction == REDUCTION_MEAN)
      result[0] = divides == 0.0f ? 0.0f : sum / divides;
    else if (reduction != REDUCTION_NONE)
      result[0] = reduction == REDUCTION_DIVIDED ? sum / divisor : sum;
    if (accuracy)
      accuracy[0] = counts[0] == 0 ? 0.0f : (float)hits[0] / (float)counts[0];
  }
}

// Takes the logits of some tiles, tiles[tile][token tile][row][column], into each token's list of the classes with the
// largest, best first, of equals the lowest class; values[n][count] hold logits, log-probabilities after the last tile.
__kernel void tilecl_linear_cross_entropy_top(
    __global const float *tiles, uint tile_rows, uint tile_columns, uint token_tiles, uint first_tile, uint tile_count,
    uint tokens, uint vocabulary, uint count, uint is_last, __global const float *lse, __global float *values,
    __global int *classes)
{
  const uint n = get_global_id(0);
  if (n >= tokens)
    return;
  __global float *own = values + (size_t)n * count;
  __global int *own_classes = classes + (size_t)n * count;
  uint filled = first_tile == 0 ? 0 : (uint)min((ulong)count, (ulong)first_tile * tile_rows);
  for (uint t = 0; t < tile_count; ++t) {
    const uint first = (first_tile + t) * tile_rows;
    __global const float *tile = tiles + ((size_t)t * token_tiles + n / tile_columns) * tile_rows * tile_columns;
    for (uint r = 0; r < min(tile_rows, vocabulary - first); ++r) {
      const float z = tile[(size_t)r * tile_columns + n % tile_columns];
      // Classes come in rising order, so that an equal one stays behind.
      if (filled == count && !(z > own[count - 1]))
        continue;
      uint at = filled < count ? filled++ : count - 1;
      for (; at > 0 && z > own[at - 1]; --at) {
        own[at] = own[at - 1];
        own_classes[at] = own_classes[at - 1];
      }
      own[at] = z;
      own_classes[at] = (int)(first + r);
    }
  }
  if (is_last)
    for (uint i = 0; i < count; ++i)
      own[i] -= lse[n];
}
