// Merges attention over parts of the keys into attention over all of them.
//
//   LSE[r] = ln sum_p exp(LSE_p[r]);   O[r,:] = sum_p exp(LSE_p[r] - LSE[r]) O_p[r,:]
//
// A part without keys has LSE_p = -inf and counts for nothing, whatever its output holds; if all are such, O = 0.
// Parts are taken in order, so equal input gives equal bits. The largest LSE so far is kept out of the exponentials, as
// in the forward kernel (Dao et al., arXiv 2205.14135).
//
// Layout: part p of `parts` is [rows, channels], contiguous, in fp32 if FLOAT_PARTS, else as STORAGE says; its LSE is
// [rows]. One launch merges `count` parts that follow one another, and hands the result to the next launch, in fp32 and
// before the division by the sum, until the last one rounds it once:
//   sums [rows, channels]     sum of the outputs, weighted
//   states [rows, 2]          maximum and sum; from one buffer to another, since all items of a row read them
//
// One work-item for each element, in groups of any size; no local memory.

#ifndef FLOAT_PARTS
#define FLOAT_PARTS 0
#endif

#if FLOAT_PARTS
typedef float part_t;
#define LOAD_PART(parts, i) ((parts)[i])
#else
typedef storage_t part_t;
#define LOAD_PART(parts, i) load_storage(parts, i)
#endif

__kernel void tilecl_attention_merge(
    __global const part_t *parts, const ulong part_offset, __global const float *part_lse, const ulong lse_offset,
    const int count, const ulong rows, const int channels,
    const int is_first,  // nothing has been merged yet
    const int is_last,   // the result goes to output and lse, else to sums and states
    __global float *sums, __global const float *old_states, __global float *states, __global storage_t *output,
    __global float *lse)
{
  const ulong element = get_global_id(0);
  const ulong elements = rows * (ulong)channels;
  if (element >= elements)
    return;
  const ulong row = element / (ulong)channels;
  const bool is_first_channel = element % (ulong)channels == 0;

  float maximum = is_first ? -INFINITY : old_states[2 * row];
  float sum = is_first ? 0.0f : old_states[2 * row + 1];
  float total = is_first ? 0.0f : sums[element];
  for (int p = 0; p < count; ++p) {
    const float part = part_lse[lse_offset + p * rows + row];
    if (part == -INFINITY)
      continue;
    const float larger = fmax(maximum, part);
    const float keep = exp(maximum - larger);
    const float weight = exp(part - larger);
    sum = sum * keep + weight;
    total = total * keep + weight * LOAD_PART(parts, part_offset + p * elements + element);
    maximum = larger;
  }

  if (is_last) {
    store_storage(output, element, sum == 0.0f ? 0.0f : total / sum);
    if (lse && is_first_channel)
      lse[row] = sum == 0.0f ? -INFINITY : maximum + log(sum);
  } else {
    sums[element] = total;
    if (is_first_channel) {
      states[2 * row] = maximum;
      states[2 * row + 1] = sum;
    }
  }
}
