// AdamW: one step of a parameter, and the factor that bounds the norm of all gradients.
//
//   g = scale * dp              scale = gradient_scale * clip[0], if there is a clip
//   m = beta1 m + (1 - beta1) g
//   v = beta2 v + (1 - beta2) g^2
//   p = p (1 - rate * decay) - rate * (m / correction1) / (sqrt(v / correction2) + epsilon)
//
// The host gives correction1 = 1 - beta1^t and correction2 = 1 - beta2^t as inverses, so that each is rounded once.
//
// Norm: parts[place] = sum of squares of one chunk; then norm = sqrt(sum of parts) * gradient_scale and
// clip = min(1, maximum / norm), both in `result`.
//
// Layout: p, m and v fp32, dp of STORAGE, copy (or 0) of OUTPUT: one row each, as in common/rows.clh, in place.
// Work-group: (WORK_GROUP_SIZE, 1, 1). tilecl_adamw and tilecl_adamw_squares: a group for each CHUNK elements.
// tilecl_adamw_norm: one group. Local memory: WORK_GROUP_SIZE floats for the latter two.
// Tunables: those of common/rows.clh.
// Source: Loshchilov and Hutter, arXiv 1711.05101; Kingma and Ba, arXiv 1412.6980.
//
// Needs: ../common/vectors.clh
// Needs: ../common/output.clh
// Needs: ../common/rows.clh
// Check: -D VECTOR=8 -D WORK_GROUP_SIZE=1 -D OUTPUT=2

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_adamw(const ulong columns, __global float *parameter, const ulong parameter_offset,
                  __global float *first_moment, const ulong first_moment_offset, __global float *second_moment,
                  const ulong second_moment_offset, __global const storage_t *gradient, const ulong gradient_offset,
                  __global output_t *copy /* or 0 */, const ulong copy_offset, __global const float *clip /* or 0 */,
                  const ulong clip_offset, const float gradient_scale, const float beta1, const float rest1,
                  const float beta2, const float rest2, const float inverse_correction1,
                  const float inverse_correction2, const float rate, const float kept, const float epsilon)
{
  const ulong first = get_group_id(0) * CHUNK;
  const ulong end = min(first + CHUNK, columns);
  const float scale = clip ? gradient_scale * clip[clip_offset] : gradient_scale;
  FOR_COLUMNS(c, first, end) {
    const ulong count = end - c;
    const vec_t g = scale * load_some(gradient, gradient_offset + c, count);
    const vec_t m = beta1 * load_some_floats(first_moment, first_moment_offset + c, count) + rest1 * g;
    const vec_t v = beta2 * load_some_floats(second_moment, second_moment_offset + c, count) + rest2 * (g * g);
    const vec_t step = (m * inverse_correction1) / (sqrt(v * inverse_correction2) + epsilon);
    const vec_t p = load_some_floats(parameter, parameter_offset + c, count) * kept - rate * step;
    store_some_floats(first_moment, first_moment_offset + c, count, m);
    store_some_floats(second_moment, second_moment_offset + c, count, v);
    store_some_floats(parameter, parameter_offset + c, count, p);
    if (copy)
      store_some_outputs(copy, copy_offset + c, count, p);
  }
}

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_adamw_squares(const ulong columns, __global const storage_t *gradient, const ulong gradient_offset,
                          __global float *parts, const ulong first_part)
{
  __local float scratch[WORK_GROUP_SIZE];

  const ulong first = get_group_id(0) * CHUNK;
  const ulong end = min(first + CHUNK, columns);
  vec_t squares = 0.0f;
  FOR_COLUMNS(c, first, end) {
    const vec_t g = load_some(gradient, gradient_offset + c, end - c);
    squares = fma(g, g, squares);
  }
  const float sum = group_sum(scratch, lane_sum(squares));
  if (get_local_id(0) == 0)
    parts[first_part + get_group_id(0)] = sum;
}

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_adamw_norm(__global const float *parts, const ulong count, const float gradient_scale, const float maximum,
                       __global float *norm, __global float *clip)
{
  __local float scratch[WORK_GROUP_SIZE];

  vec_t squares = 0.0f;
  FOR_COLUMNS(i, 0, count) {
    squares += load_some_floats(parts, i, count - i);
  }
  const float length = fabs(gradient_scale) * sqrt(group_sum(scratch, lane_sum(squares)));
  if (get_local_id(0) == 0) {
    norm[0] = length;
    // A norm that is not finite goes through: nothing is right then, and hiding it would be wrong.
    clip[0] = length > maximum || isnan(length) ? maximum / length : 1.0f;
  }
}
