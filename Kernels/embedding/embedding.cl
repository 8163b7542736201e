// Embedding: rows of a table by token.
//
//   y[n,:] = table[token[n],:]
//
// Layout: tokens: int [tokens], adjacent; table [vocabulary, columns] with rows table_stride apart; y as in
// common/rows.clh, a row for each token. status: the first position whose token is no row of the table, or `count`, and
// that token. Such a token's row of y is not written.
// Work-group: (WORK_GROUP_SIZE, 1, 1). tilecl_embedding_check: one group; tilecl_embedding: see common/rows.clh.
// Local memory: WORK_GROUP_SIZE integers for the first.
// Tunables: those of common/rows.clh.
//
// Needs: ../common/vectors.clh
// Needs: ../common/rows.clh
// Check: -D VECTOR=8 -D WORK_GROUP_SIZE=1

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_embedding_check(__global const int *tokens, const ulong tokens_offset, const uint count,
                            const uint vocabulary, __global uint *status)
{
  __local uint firsts[WORK_GROUP_SIZE];

  const uint item = (uint)get_local_id(0);
  uint first = count;
  for (uint n = item; n < first; n += WORK_GROUP_SIZE)
    if ((uint)tokens[tokens_offset + n] >= vocabulary)
      first = n;
  firsts[item] = first;
  barrier(CLK_LOCAL_MEM_FENCE);
  if (item == 0) {
    for (uint other = 1; other < WORK_GROUP_SIZE; ++other)
      first = min(first, firsts[other]);
    status[0] = first;
    status[1] = first < count ? (uint)tokens[tokens_offset + first] : 0;
  }
}

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_embedding(ROWS_PARAMETERS, __global const int *tokens, const ulong tokens_offset,
                      __global const storage_t *table, const ulong table_offset, const ulong table_stride,
                      TENSOR(storage_t, y), const uint vocabulary)
{
  const chunk_t chunk = find_chunk(rows_1, rows_2, columns);
  const ulong y_row = ROW(y, chunk.row);
  const uint token = (uint)tokens[tokens_offset + get_group_id(0) / CEIL_DIV(columns, (ulong)CHUNK)];
  if (token >= vocabulary)
    return;
  const ulong table_row = table_offset + token * table_stride;
  FOR_COLUMNS(c, chunk.first, chunk.end) {
    const ulong count = chunk.end - c;
    store_some(y, y_row + c, count, load_some(table, table_row + c, count));
  }
}
