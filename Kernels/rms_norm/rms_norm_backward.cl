// Gradients of root mean square normalization.
//
//   dx[n,c] = rms[n] * (w[c] dy[n,c] - s[n,c] rms[n]^2 / C * sum_c' w[c'] dy[n,c'] s[n,c']) + ds[n,c]
//   dw[c]   = sum_n dy[n,c] * s[n,c] * rms[n]
//
// ds is the gradient that s has from elsewhere, in a network with residual sums what skips this norm; 0 for none.
//
// Layout: s, dy, ds and dx as in common/rows.clh; w and dw [columns]; rms [rows], fp32. dx may be dy or ds, element by
// element. Rows are shared out to `blocks` of block_rows; partial sums of dw are [block, column], fp32.
// Work-group: (WORK_GROUP_SIZE, 1, 1). tilecl_rms_norm_backward: a group for each row.
// tilecl_rms_norm_weight_parts: a group for each CHUNK columns of a block, with groups counting along a block first.
// tilecl_rms_norm_weight_sum: a group for each CHUNK columns. Local memory: WORK_GROUP_SIZE floats for the first.
// Tunables: those of common/rows.clh.
//
// Needs: ../common/vectors.clh
// Needs: ../common/output.clh
// Needs: ../common/rows.clh
// Check: -D VECTOR=8 -D WORK_GROUP_SIZE=1 -D OUTPUT=0

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_rms_norm_backward(ROWS_PARAMETERS, TENSOR(const storage_t, x), TENSOR(const storage_t, gradient),
                              TENSOR(const storage_t, sum_gradient), TENSOR(storage_t, x_gradient),
                              __global const storage_t *weight, const ulong weight_offset,
                              __global const float *inverse_rms, const ulong inverse_rms_offset)
{
  __local float scratch[WORK_GROUP_SIZE];

  const ulong number = get_group_id(0);
  const row_t row = find_row(number, rows_1, rows_2);
  const ulong x_row = ROW(x, row);
  const ulong gradient_row = ROW(gradient, row);
  const ulong sum_gradient_row = ROW(sum_gradient, row);
  const ulong x_gradient_row = ROW(x_gradient, row);
  const float factor = inverse_rms[inverse_rms_offset + number];
  vec_t products = 0.0f;
  FOR_COLUMNS(c, 0, columns) {
    const ulong count = columns - c;
    const vec_t weighted = load_some(weight, weight_offset + c, count) * load_some(gradient, gradient_row + c, count);
    products = fma(weighted, load_some(x, x_row + c, count) * factor, products);
  }
  const float shared = group_sum(scratch, lane_sum(products)) / (float)columns;
  FOR_COLUMNS(c, 0, columns) {
    const ulong count = columns - c;
    const vec_t weighted = load_some(weight, weight_offset + c, count) * load_some(gradient, gradient_row + c, count);
    vec_t dx = factor * (weighted - load_some(x, x_row + c, count) * factor * shared);
    if (sum_gradient)
      dx += load_some(sum_gradient, sum_gradient_row + c, count);
    store_some(x_gradient, x_gradient_row + c, count, dx);
  }
}

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_rms_norm_weight_parts(ROWS_PARAMETERS, TENSOR(const storage_t, x), TENSOR(const storage_t, gradient),
                                  __global const float *inverse_rms, const ulong inverse_rms_offset,
                                  __global float *parts, const ulong rows, const ulong block_rows)
{
  const ulong chunks = CEIL_DIV(columns, (ulong)CHUNK);
  const ulong block = get_group_id(0) / chunks;
  const ulong first = get_group_id(0) % chunks * CHUNK;
  const ulong end = min(first + CHUNK, columns);
  const ulong first_row = block * block_rows;
  const ulong end_row = min(first_row + block_rows, rows);
  for (ulong number = first_row; number < end_row; ++number) {
    const row_t row = find_row(number, rows_1, rows_2);
    const ulong x_row = ROW(x, row);
    const ulong gradient_row = ROW(gradient, row);
    const float factor = inverse_rms[inverse_rms_offset + number];
    FOR_COLUMNS(c, first, end) {
      const ulong count = end - c;
      const vec_t term = load_some(gradient, gradient_row + c, count) * (load_some(x, x_row + c, count) * factor);
      const ulong place = block * columns + c;
      store_some_floats(parts, place, count,
                        number == first_row ? term : load_some_floats(parts, place, count) + term);
    }
  }
}

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_rms_norm_weight_sum(__global const float *parts, const ulong blocks, const ulong columns,
                                __global output_t *weight_gradient, const ulong weight_gradient_offset)
{
  const ulong end = min((get_group_id(0) + 1) * CHUNK, columns);
  for (ulong c = get_group_id(0) * CHUNK + get_local_id(0); c < end; c += WORK_GROUP_SIZE) {
    float sum = 0.0f;
    for (ulong block = 0; block < blocks; ++block)
      sum += parts[block * columns + c];
    store_output(weight_gradient, weight_gradient_offset + c, sum);
  }
}
