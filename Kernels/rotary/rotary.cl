// Rotary position embedding: pairs of channels turn by an angle in proportion to the token's position.
//
//   angle[s,i] = p[s] * base^(-2 i / R)                    i < R / 2, p[s] = positions[s], or s + position_offset
//   y[first(i)]  = x[first(i)] cos(angle) - x[second(i)] sin(angle)
//   y[second(i)] = x[second(i)] cos(angle) + x[first(i)] sin(angle)
//
//   INTERLEAVED 0   first(i) = i, second(i) = i + R / 2
//   INTERLEAVED 1   first(i) = 2 i, second(i) = 2 i + 1
//
// Channels from R on are copied. With direction -1 the angles are negative, which is the inverse and, a rotation being
// orthogonal, the backward pass.
//
// Layout: x and y [batch, heads, tokens, channels] with any strides of the first three; channels are adjacent. y may be
// x, element by element. positions: int [batch, tokens] with strides, or 0. turns: R / 2 pairs of floats whose sum is
// base^(-2 i / R) / (2 pi).
// Work-group: (WORK_GROUP_SIZE, 1, 1). An item takes one pair of one token through all heads, so that its sine and
// cosine are computed once. Behind the pairs of a token come places for the channels that are copied, none if y is x;
// places count first, then tokens, then batch entries. On a CPU an item takes a whole token.
// Local memory: none.
// Tunables: WORK_GROUP_SIZE.
// Source: Su et al., RoFormer, arXiv 2104.09864; halves: GPT-NeoX, arXiv 2204.06745.
//
// Check: -D INTERLEAVED=1 -D WORK_GROUP_SIZE=1

#ifndef INTERLEAVED
#define INTERLEAVED 0
#endif
#ifndef WORK_GROUP_SIZE
#define WORK_GROUP_SIZE 128
#endif

// position * turns as a fraction of a turn in [-1/2, 1/2]. In fp32 the product itself loses what matters here: the
// fraction of a large angle. The position is cut so that products with the leading part of `turns` have an exact rest.
static inline float fraction_of_turn(const int position, const float2 turns)
{
  const int low = position & 0xfff;
  const float parts[2] = {(float)(position - low), (float)low};
  float sum = 0.0f;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const float product = parts[i] * turns.x;
    const float rest = fma(parts[i], turns.x, -product);
    sum += (product - rint(product)) + (rest + parts[i] * turns.y);
  }
  return sum - rint(sum);
}

__kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1)))
void tilecl_rotary(__global const storage_t *x, const ulong x_offset, const ulong x_batch_stride,
                   const ulong x_head_stride, const ulong x_token_stride, __global storage_t *y, const ulong y_offset,
                   const ulong y_batch_stride, const ulong y_head_stride, const ulong y_token_stride,
                   __global const int *positions, const ulong positions_offset, const ulong positions_batch_stride,
                   const ulong positions_token_stride, __global const float *turns, const uint batch,
                   const uint heads, const uint tokens, const uint pairs, const uint places,
                   const int position_offset, const float direction)
{
  const uint share = WORK_GROUP_SIZE == 1 ? places : 1;
  const ulong first_item = get_global_id(0) * share;
  for (uint n = 0; n < share; ++n) {
    const ulong item = first_item + n;
    const uint i = (uint)(item % places);
    const uint token = (uint)(item / places % tokens);
    const ulong entry = item / places / tokens;
    if (entry >= batch)
      return;
    const ulong x_first = x_offset + entry * x_batch_stride + token * x_token_stride;
    const ulong y_first = y_offset + entry * y_batch_stride + token * y_token_stride;
    if (i >= pairs) {
      const uint channel = i + pairs;
      for (uint head = 0; head < heads; ++head)
        y[y_first + head * y_head_stride + channel] = x[x_first + head * x_head_stride + channel];
      continue;
    }
    const int position = positions ? positions[positions_offset + entry * positions_batch_stride +
                                               token * positions_token_stride]
                                   : (int)token + position_offset;
    const float angle = 6.2831853071795865f * fraction_of_turn(position, vload2(i, turns));
    const float c = cos(angle);
    const float s = direction * sin(angle);
    const uint first = INTERLEAVED ? 2 * i : i;
    const uint second = INTERLEAVED ? 2 * i + 1 : i + pairs;
    for (uint head = 0; head < heads; ++head) {
      const ulong from = x_first + head * x_head_stride;
      const ulong to = y_first + head * y_head_stride;
      const float a = load_storage(x, from + first);
      const float b = load_storage(x, from + second);
      store_storage(y, to + first, a * c - b * s);
      store_storage(y, to + second, b * c + a * s);
    }
  }
}
