// Elementwise: sums, products, scaling and conversion of tensors.
//
//   FUNCTION 0   y[i] = alpha * x[i] + beta * z[i]      without z where z is 0
//   FUNCTION 1   y[i] = alpha * x[i] * z[i]
//
// Layout: tensors as in common/rows.clh; x of STORAGE, y and z of OUTPUT. y may be x or z, element by element.
// Work-group: see common/rows.clh. Local memory: none.
// Tunables: those of common/rows.clh.
//
// Needs: ../common/vectors.clh
// Needs: ../common/output.clh
// Needs: ../common/rows.clh
// Check: -D FUNCTION=1 -D OUTPUT=0 -D VECTOR=8 -D WORK_GROUP_SIZE=1

#ifndef FUNCTION
#define FUNCTION 0
#endif

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_elementwise(ROWS_PARAMETERS, TENSOR(const storage_t, x), TENSOR(const output_t, z), TENSOR(output_t, y),
                        const float alpha, const float beta)
{
  const chunk_t chunk = find_chunk(rows_1, rows_2, columns);
  const ulong x_row = ROW(x, chunk.row);
  const ulong z_row = ROW(z, chunk.row);
  const ulong y_row = ROW(y, chunk.row);
  FOR_COLUMNS(c, chunk.first, chunk.end) {
    const ulong count = chunk.end - c;
    vec_t result = alpha * load_some(x, x_row + c, count);
#if FUNCTION == 1
    result *= load_some_outputs(z, z_row + c, count);
#else
    if (z)
      result += beta * load_some_outputs(z, z_row + c, count);
#endif
    store_some_outputs(y, y_row + c, count, result);
  }
}
