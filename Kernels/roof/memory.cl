// Roof: how fast the device moves memory.
//
// Formula:     tilecl_roof_copy: out[i] = in[i].
//              tilecl_roof_read: out[item] = sum of all components of the vectors that the item reads.
// Layout:      in: `count` vectors; out: as many for the copy, one float for each work-item for the sum.
// Work-group:  any x 1 x 1, any number of them. Local memory: none.
// Tunables:    LOADS, vectors of the sum that an item waits for at a time, each with a sum of its own.
//              RUNS, 1 if an item takes a run of neighbours (a core reads best what lies together), 0 if items take
//              turns (as the lanes of a GPU do). Vectors have 64 bytes for runs, 16 for turns.

#ifndef RUNS
#define RUNS 0
#endif

#ifndef LOADS
#define LOADS (RUNS ? 4 : 8)
#endif

#if RUNS
typedef float16 vector;
#define FIRST(count, items) (get_global_id(0) * (((count) + (items) - 1) / (items)))
#define END(count, items) min((ulong)(count), (ulong)((get_global_id(0) + 1) * (((count) + (items) - 1) / (items))))
#define STEP(items) 1
#else
typedef float4 vector;
#define FIRST(count, items) get_global_id(0)
#define END(count, items) (count)
#define STEP(items) (items)
#endif

__kernel void tilecl_roof_copy(__global const vector *in, __global vector *out, const ulong count)
{
  const size_t items = get_global_size(0);
  const size_t end = END(count, items);
  for (size_t i = FIRST(count, items); i < end; i += STEP(items)) out[i] = in[i];
}

__kernel void tilecl_roof_read(__global const vector *in, __global float *out, const ulong count)
{
  const size_t items = get_global_size(0);
  const size_t end = END(count, items);
  const size_t step = STEP(items);
  vector sums[LOADS];
#pragma unroll
  for (int k = 0; k < LOADS; k++) sums[k] = (vector)(0.0f);
  size_t i = FIRST(count, items);
  for (; i + (LOADS - 1) * step < end; i += LOADS * step) {
#pragma unroll
    for (int k = 0; k < LOADS; k++) sums[k] += in[i + k * step];
  }
  for (; i < end; i += step) sums[0] += in[i];
  vector sum = sums[0];
#pragma unroll
  for (int k = 1; k < LOADS; k++) sum += sums[k];
#if RUNS
  const float8 half_sum = sum.lo + sum.hi;
  const float4 all = half_sum.lo + half_sum.hi;
#else
  const float4 all = sum;
#endif
  out[get_global_id(0)] = (all.x + all.y) + (all.z + all.w);
}
