// Root mean square normalization, with a sum before it if wanted.
//
//   s[n,:] = x[n,:] + r[n,:]          rounded to STORAGE; without r, s is x
//   rms[n] = 1 / sqrt(mean_c s[n,c]^2 + epsilon)
//   y[n,c] = s[n,c] * rms[n] * w[c]
//
// Layout: x, r, s and y as in common/rows.clh, a row being what is normalized; w [columns]; rms [rows], fp32. r and s
// are 0, both, where there is no sum; s may be x or r, element by element, and y any of the three.
// Work-group: (WORK_GROUP_SIZE, 1, 1), a group for each row. Local memory: WORK_GROUP_SIZE floats.
// Tunables: those of common/rows.clh but CHUNK.
// Source: Zhang and Sennrich, arXiv 1910.07467.
//
// Needs: ../common/vectors.clh
// Needs: ../common/rows.clh
// Check: -D VECTOR=8 -D WORK_GROUP_SIZE=1

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_rms_norm(ROWS_PARAMETERS, TENSOR(const storage_t, x), TENSOR(const storage_t, residual),
                     TENSOR(storage_t, sum), TENSOR(storage_t, y), __global const storage_t *weight,
                     const ulong weight_offset, __global float *inverse_rms, const ulong inverse_rms_offset,
                     const float epsilon)
{
  __local float scratch[WORK_GROUP_SIZE];

  const ulong number = get_group_id(0);
  const row_t row = find_row(number, rows_1, rows_2);
  const ulong x_row = ROW(x, row);
  const ulong residual_row = ROW(residual, row);
  const ulong sum_row = ROW(sum, row);
  const ulong y_row = ROW(y, row);
  vec_t squares = 0.0f;
  FOR_COLUMNS(c, 0, columns) {
    const ulong count = columns - c;
    vec_t s = load_some(x, x_row + c, count);
    if (residual) {
      s += load_some(residual, residual_row + c, count);
      store_some(sum, sum_row + c, count, s);
      // As it will be read by whoever takes the sum.
      s = load_some(sum, sum_row + c, count);
    }
    squares = fma(s, s, squares);
  }
  const float mean = group_sum(scratch, lane_sum(squares)) / (float)columns;
  const float factor = 1.0f / sqrt(mean + epsilon);
  if (get_local_id(0) == 0)
    inverse_rms[inverse_rms_offset + number] = factor;
  FOR_COLUMNS(c, 0, columns) {
    const ulong count = columns - c;
    const vec_t s = residual ? load_some(sum, sum_row + c, count) : load_some(x, x_row + c, count);
    store_some(y, y_row + c, count, s * factor * load_some(weight, weight_offset + c, count));
  }
}
