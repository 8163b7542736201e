// What goes before and after the tiles of attention's backward pass: sums along rows, heads and copies.
//
//   tilecl_attention_delta      delta[b,h,i] = sum_c dO[b,h,i,c] O[b,h,i,c] - dLSE[b,h,i]
//   tilecl_attention_head_sums  result[h] = sum_b,i rows[b,h,i], or for sinks, given rows = delta,
//                               result[h] = -sum_b,i exp(sink[h] - LSE[b,h,i]) delta[b,h,i], where LSE is not -inf
//   tilecl_attention_slice_sums result[e] = sum_z copies[z, e]
//   tilecl_attention_rounded    result[e] = source[e] in the storage type
//
// O and dO have offsets and strides for batch, head and row, in elements, with adjacent channels; all else is
// contiguous. Every sum is fp32 and has one order, so equal input gives equal bits.
//
// One work-item for each element of the result, in groups of any size, without local memory. But for delta each element
// has DELTA_LANES work-items, a divisor of REDUCE_ITEMS, in groups of REDUCE_ITEMS, so that neighbours read neighbours;
// and head_sums has one such group for each head. Both take REDUCE_ITEMS floats of local memory.
//
// Check: -D DELTA_LANES=1

#ifndef REDUCE_ITEMS
#define REDUCE_ITEMS 64  // a power of two
#endif
#ifndef DELTA_LANES
#define DELTA_LANES 16  // a power of two
#endif

__kernel __attribute__((reqd_work_group_size(REDUCE_ITEMS, 1, 1)))
void tilecl_attention_delta(
    __global const storage_t *output, const ulong output_offset, const ulong output_batch_stride,
    const ulong output_head_stride, const ulong output_row_stride, __global const storage_t *gradient,
    const ulong gradient_offset, const ulong gradient_batch_stride, const ulong gradient_head_stride,
    const ulong gradient_row_stride, __global const float *lse_gradient /* may be null */,
    const ulong lse_gradient_offset, const ulong rows, const int query_heads, const int query_length,
    const int channels, __global float *delta)
{
  __local float sums[REDUCE_ITEMS];
  const int item = (int)get_local_id(0);
  const int lane = item % DELTA_LANES;
  const ulong number = get_global_id(0) / DELTA_LANES;
  float sum = 0.0f;
  if (number < rows) {
    const ulong row = number % (ulong)query_length;
    const ulong head = number / (ulong)query_length % (ulong)query_heads;
    const ulong batch = number / (ulong)query_length / (ulong)query_heads;
    const ulong o = output_offset + batch * output_batch_stride + head * output_head_stride + row * output_row_stride;
    const ulong g =
        gradient_offset + batch * gradient_batch_stride + head * gradient_head_stride + row * gradient_row_stride;
    for (int c = lane; c < channels; c += DELTA_LANES)
      sum = fma(load_storage(output, o + c), load_storage(gradient, g + c), sum);
  }
#if DELTA_LANES > 1
  sums[item] = sum;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int half_size = DELTA_LANES / 2; half_size > 0; half_size /= 2) {
    if (lane < half_size)
      sums[item] += sums[item + half_size];
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  sum = sums[item];
#else
  (void)sums;
#endif
  if (lane == 0 && number < rows)
    delta[number] = lse_gradient ? sum - lse_gradient[lse_gradient_offset + number] : sum;
}

__kernel __attribute__((reqd_work_group_size(REDUCE_ITEMS, 1, 1)))
void tilecl_attention_head_sums(
    __global const float *rows, __global const float *sinks /* null for plain sums */, const ulong sinks_offset,
    __global const float *lse, const ulong lse_offset, const ulong batches, const ulong query_heads,
    const ulong query_length, __global float *result)
{
  __local float sums[REDUCE_ITEMS];
  const int item = (int)get_local_id(0);
  const ulong head = get_group_id(0);
  const float sink = sinks ? sinks[sinks_offset + head] : 0.0f;
  float sum = 0.0f;
  float rest = 0.0f;
  for (ulong number = item; number < batches * query_length; number += REDUCE_ITEMS) {
    const ulong at = (number / query_length * query_heads + head) * query_length + number % query_length;
    float x = rows[at];
    if (sinks) {
      const float row_lse = lse[lse_offset + at];
      x = row_lse == -INFINITY ? 0.0f : -exp(sink - row_lse) * x;
    }
    // Compensated (Kahan): a head may have millions of rows.
    const float y = x - rest;
    const float larger = sum + y;
    rest = larger - sum - y;
    sum = larger;
  }
  sums[item] = sum;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int half_size = REDUCE_ITEMS / 2; half_size > 0; half_size /= 2) {
    if (item < half_size)
      sums[item] += sums[item + half_size];
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  if (item == 0)
    result[head] = sums[0];
}

__kernel void tilecl_attention_slice_sums(
    __global const float *copies, const ulong slices, const ulong slice_stride, const ulong first,
    const ulong elements, __global float *result)
{
  const ulong element = get_global_id(0);
  if (element >= elements)
    return;
  float sum = 0.0f;
  for (ulong slice = 0; slice < slices; ++slice)
    sum += copies[slice * slice_stride + first + element];
  result[element] = sum;
}

__kernel void tilecl_attention_rounded(
    __global const float *source, const ulong elements, __global storage_t *result)
{
  const ulong element = get_global_id(0);
  if (element < elements)
    store_storage(result, element, source[element]);
}
