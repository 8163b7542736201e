// Gated units: the product of an activated gate and what it lets through, and its gradients.
//
//   y[i] = f(g[i]) * u[i]
//   du[i] = dy[i] * f(g[i])        dg[i] = dy[i] * u[i] * f'(g[i])
//
//   ACTIVATION 0   f(x) = x / (1 + exp(-x))                                   silu
//   ACTIVATION 1   f(x) = x / 2 * (1 + erf(x / sqrt(2)))                      gelu
//   ACTIVATION 2   f(x) = x / 2 * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))  gelu by tanh
//
// Layout: tensors as in common/rows.clh, of STORAGE; gate and up may be columns of one tensor, their gradients too. All
// arithmetic is fp32, one rounding at the end. dg may be g, and du u, element by element.
// Work-group: see common/rows.clh. Local memory: none.
// Tunables: those of common/rows.clh.
// Source: Shazeer, "GLU Variants Improve Transformer", arXiv 2002.05202; gelu: arXiv 1606.08415.
//
// Needs: ../common/vectors.clh
// Needs: ../common/rows.clh
// Check: -D ACTIVATION=1 -D VECTOR=8 -D WORK_GROUP_SIZE=1
// Check: -D ACTIVATION=2 -D VECTOR=16 -D WORK_GROUP_SIZE=1

#ifndef ACTIVATION
#define ACTIVATION 0
#endif

// f(x), and f'(x) in *slope.
static inline vec_t activated(const vec_t x, vec_t *slope)
{
#if ACTIVATION == 0
  const vec_t s = 1.0f / (1.0f + exp(-x));
  // Behind all of x that exp(-x) overflows for, f is 0 and x * s may be -inf * 0.
  const vec_t y = select(x * s, (vec_t)(0.0f), x == -INFINITY);
  *slope = s + select(y * (1.0f - s), (vec_t)(0.0f), fabs(x) == INFINITY);
#elif ACTIVATION == 1
  const vec_t share = 0.5f * erfc(x * -M_SQRT1_2_F);
  const vec_t y = select(x * share, (vec_t)(0.0f), x == -INFINITY);
  const vec_t density = 0.3989422804014327f * exp(-0.5f * x * x);
  *slope = share + select(x * density, (vec_t)(0.0f), fabs(x) == INFINITY);
#else
  // (1 + tanh(u)) / 2 = 1 / (1 + exp(-2 u)), and 10 is as good as what lies beyond: the share is 1, or below 1e-37.
  const vec_t z = clamp(x, (vec_t)(-10.0f), (vec_t)(10.0f));
  const vec_t e = exp(-1.5957691216057308f * (z + 0.044715f * z * z * z));
  const vec_t share = 1.0f / (1.0f + e);
  const vec_t y = select(x * share, (vec_t)(0.0f), x <= -10.0f);
  *slope = share + z * share * (e * share) * 1.5957691216057308f * (1.0f + 0.134145f * z * z);
  // clamp may lose a NaN.
  *slope = select(x, *slope, x == x);
#endif
  return y;
}

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_swiglu(ROWS_PARAMETERS, TENSOR(const storage_t, gate), TENSOR(const storage_t, up), TENSOR(storage_t, y))
{
  const chunk_t chunk = find_chunk(rows_1, rows_2, columns);
  const ulong gate_row = ROW(gate, chunk.row);
  const ulong up_row = ROW(up, chunk.row);
  const ulong y_row = ROW(y, chunk.row);
  FOR_COLUMNS(c, chunk.first, chunk.end) {
    const ulong count = chunk.end - c;
    vec_t slope;
    const vec_t f = activated(load_some(gate, gate_row + c, count), &slope);
    store_some(y, y_row + c, count, f * load_some(up, up_row + c, count));
  }
}

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_swiglu_backward(ROWS_PARAMETERS, TENSOR(const storage_t, gate), TENSOR(const storage_t, up),
                            TENSOR(const storage_t, gradient), TENSOR(storage_t, gate_gradient),
                            TENSOR(storage_t, up_gradient))
{
  const chunk_t chunk = find_chunk(rows_1, rows_2, columns);
  const ulong gate_row = ROW(gate, chunk.row);
  const ulong up_row = ROW(up, chunk.row);
  const ulong gradient_row = ROW(gradient, chunk.row);
  const ulong gate_gradient_row = ROW(gate_gradient, chunk.row);
  const ulong up_gradient_row = ROW(up_gradient, chunk.row);
  FOR_COLUMNS(c, chunk.first, chunk.end) {
    const ulong count = chunk.end - c;
    vec_t slope;
    const vec_t f = activated(load_some(gate, gate_row + c, count), &slope);
    const vec_t dy = load_some(gradient, gradient_row + c, count);
    const vec_t u = load_some(up, up_row + c, count);
    store_some(gate_gradient, gate_gradient_row + c, count, dy * u * slope);
    store_some(up_gradient, up_gradient_row + c, count, dy * f);
  }
}
