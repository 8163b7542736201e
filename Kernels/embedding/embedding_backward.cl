// Gradient of an embedding's table: for each row the sum of the gradients of its tokens, in the order of the tokens.
//
//   dtable[v,:] = sum of dy[n,:] over n with token[n] = v, n rising          + beta * dtable[v,:]
//
// The positions of each row's tokens come from a counting sort that keeps their order. With blocks of BLOCK tokens:
//
//   ranks   rank[n] = how many tokens before n in its block are the same; count[block, v] = how many are v
//   bases   base[block, v] = how many tokens before the block are v, in place of the count; total[v]
//   starts  start[v] = how many tokens are less than v; start[vocabulary] = all
//   order   order[start[v] + base[block, v] + rank[n]] = n for v = token[n]
//
// No step depends on which group comes first, and nothing is added by atomics. Tokens that are no row are left out.
//
// Layout: tokens: int [tokens], adjacent; dy as in common/rows.clh, a row for each token; dtable [vocabulary, columns]
// of OUTPUT, rows table_stride apart; counts: uint [blocks, vocabulary], zeros at first; the rest as above, uint.
// Work-group: (WORK_GROUP_SIZE, 1, 1). ranks: a group for each block; bases, order: an item for each row, or token;
// starts: one group; tilecl_embedding_backward: a group for each CHUNK columns of a row. Local memory: BLOCK integers.
// Tunables: those of common/rows.clh; BLOCK.
//
// Needs: ../common/vectors.clh
// Needs: ../common/output.clh
// Needs: ../common/rows.clh
// Check: -D VECTOR=8 -D WORK_GROUP_SIZE=1 -D OUTPUT=0

#ifndef BLOCK
#define BLOCK 256
#endif

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_embedding_ranks(__global const int *tokens, const ulong tokens_offset, const uint count,
                            const uint vocabulary, __global uint *ranks, __global uint *counts)
{
  __local int block[BLOCK];

  const uint first = (uint)get_group_id(0) * BLOCK;
  const uint size = min((uint)BLOCK, count - first);
  for (uint n = (uint)get_local_id(0); n < size; n += WORK_GROUP_SIZE)
    block[n] = tokens[tokens_offset + first + n];
  barrier(CLK_LOCAL_MEM_FENCE);
  for (uint n = (uint)get_local_id(0); n < size; n += WORK_GROUP_SIZE) {
    const int token = block[n];
    uint before = 0;
    uint after = 0;
    for (uint m = 0; m < n; ++m)
      before += block[m] == token;
    for (uint m = n + 1; m < size; ++m)
      after += block[m] == token;
    ranks[first + n] = before;
    // The last of its kind in the block knows how many there are.
    if (after == 0 && (uint)token < vocabulary)
      counts[get_group_id(0) * vocabulary + token] = before + 1;
  }
}

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_embedding_bases(__global uint *counts, const uint blocks, const uint vocabulary, __global uint *totals)
{
  const uint row = (uint)get_global_id(0);
  if (row >= vocabulary)
    return;
  uint sum = 0;
  for (uint block = 0; block < blocks; ++block) {
    const ulong place = block * (ulong)vocabulary + row;
    const uint own = counts[place];
    counts[place] = sum;
    sum += own;
  }
  totals[row] = sum;
}

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_embedding_starts(__global const uint *totals, const uint vocabulary, __global uint *starts)
{
  __local uint sums[WORK_GROUP_SIZE];

  const uint item = (uint)get_local_id(0);
  const uint share = CEIL_DIV(vocabulary, WORK_GROUP_SIZE);
  const uint first = min(item * share, vocabulary);
  const uint end = min(first + share, vocabulary);
  uint sum = 0;
  for (uint row = first; row < end; ++row)
    sum += totals[row];
  sums[item] = sum;
  barrier(CLK_LOCAL_MEM_FENCE);
  uint start = 0;
  for (uint other = 0; other < item; ++other)
    start += sums[other];
  for (uint row = first; row < end; ++row) {
    starts[row] = start;
    start += totals[row];
  }
  if (item == WORK_GROUP_SIZE - 1)
    starts[vocabulary] = start;
}

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_embedding_order(__global const int *tokens, const ulong tokens_offset, const uint count,
                            const uint vocabulary, __global const uint *ranks, __global const uint *bases,
                            __global const uint *starts, __global uint *order)
{
  const uint n = (uint)get_global_id(0);
  if (n >= count)
    return;
  const uint token = (uint)tokens[tokens_offset + n];
  if (token < vocabulary)
    order[starts[token] + bases[n / BLOCK * (ulong)vocabulary + token] + ranks[n]] = n;
}

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_embedding_backward(ROWS_PARAMETERS, TENSOR(const storage_t, gradient), __global const uint *starts,
                               __global const uint *order, __global output_t *table_gradient,
                               const ulong table_offset, const ulong table_stride, const float beta)
{
  const ulong chunks = CEIL_DIV(columns, (ulong)CHUNK);
  const ulong table_row = get_group_id(0) / chunks;
  const ulong first = get_group_id(0) % chunks * CHUNK;
  const ulong end = min(first + CHUNK, columns);
  const uint first_token = starts[table_row];
  const uint end_token = starts[table_row + 1];
  FOR_COLUMNS(c, first, end) {
    const ulong count = end - c;
    vec_t sum = 0.0f;
#pragma unroll 4
    for (uint t = first_token; t < end_token; ++t)
      sum += load_some(gradient, ROW(gradient, find_row(order[t], rows_1, rows_2)) + c, count);
    const ulong place = table_offset + table_row * table_stride + c;
    if (beta != 0.0f)
      sum += beta * load_some_outputs(table_gradient, place, count);
    store_some_outputs(table_gradient, place, count, sum);
  }
}
