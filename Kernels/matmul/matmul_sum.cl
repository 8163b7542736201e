// Matrix product: the sums of splits made one.
//
//   C[m,n] = alpha * sum_s parts[s,m,n] + beta * C[m,n] + bias[n]
//
// Layout: parts is [split, batch entry, row, column], fp32; C and bias as in tiles.clh.
// Work-group: any x 1 x 1, an item for each element of C, with some to spare. Local memory: none.
//
// Needs: ../common/vectors.clh
// Needs: ../common/output.clh
// Needs: tiles.clh

__kernel void tilecl_matmul_sum(RESULT_PARAMETERS, const uint splits)
{
  const ulong elements = (ulong)batch * rows * columns;
  const ulong i = get_global_id(0);
  if (i >= elements)
    return;
  float sum = parts[i];
  for (uint s = 1; s < splits; ++s)
    sum += parts[s * elements + i];
  const ulong column = i % columns;
  const ulong row = i / columns;
  const ulong place = c_offset + row / rows * c_batch_stride + row % rows * c_row_stride + column;
  store_output(c, place, FINISHED(sum, place, column));
}
