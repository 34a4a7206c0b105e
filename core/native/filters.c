/* Filters of a few rows, on values of three channels.

   Source is a strip of `height` rows; computed are `rows` of them from `first` on, and target has
   these alone. Beyond the edges of the strip it is mirrored without its outermost row or column.
   Width and height are more than a filter reaches to one side. `sums` is memory for
   3 * (width + 2 * reach) sums. */

#include "pixels.h"

INLINE ptrdiff_t mirrored(ptrdiff_t place, ptrdiff_t size)
{
    place = place < 0 ? -place : place;
    return place < size ? place : 2 * (size - 1) - place;
}

/* Sums of a square, rounded; a mean is never half of an odd number, as sides are odd. */

INLINE uint8_t mean_8(uint16_t sum, int count)
{
    return (uint8_t)((uint16_t)(sum + count / 2) / (uint16_t)count);
}

INLINE uint16_t mean_16(uint32_t sum, int count)
{
    return (uint16_t)rounded_bits((float)(int32_t)sum * (float)(1.0 / count), WHOLE);
}

#define MEANS(bits, code, sum)                                                                     \
    INLINE void means_##bits(const sum *sums, code *target, ptrdiff_t values, int size)            \
    {                                                                                              \
        for (ptrdiff_t i = 0; i < values; i++) {                                                   \
            sum all = sums[i];                                                                     \
            for (int k = 1; k < size; k++)                                                         \
                all = (sum)(all + sums[i + 3 * k]);                                                \
            target[i] = mean_##bits(all, size * size);                                             \
        }                                                                                          \
    }

MEANS(8, uint8_t, uint16_t)
MEANS(16, uint16_t, uint32_t)

#define FILTERS(bits, code, sum)                                                                   \
    INLINE void mirror_ends_##bits(sum *sums, ptrdiff_t width, ptrdiff_t reach)                    \
    {                                                                                              \
        sum *inner = sums + 3 * reach;                                                             \
        for (ptrdiff_t x = 1; x <= reach; x++)                                                     \
            for (ptrdiff_t c = 0; c < 3; c++) {                                                    \
                inner[c - 3 * x] = inner[3 * x + c];                                               \
                inner[3 * (width - 1 + x) + c] = inner[3 * (width - 1 - x) + c];                   \
            }                                                                                      \
    }                                                                                              \
                                                                                                   \
    INLINE code rounded_##bits(float value)                                                        \
    {                                                                                              \
        const float white = (code)-1;                                                              \
        value = value < 0.0f ? 0.0f : value;                                                       \
        value = value > white ? white : value;                                                     \
        return (code)rounded_bits(value, WHOLE);                                                   \
    }                                                                                              \
                                                                                                   \
    /* 3 x 3: the centre times one weight, what is around it times another. */                     \
    KERNEL(sharp_##bits)(const code *source, code *target, ptrdiff_t width, ptrdiff_t height,      \
                         ptrdiff_t first, ptrdiff_t rows, float centre, float around, sum *sums)   \
    {                                                                                              \
        const ptrdiff_t values = 3 * width;                                                        \
        for (ptrdiff_t y = first; y < first + rows; y++, target += values) {                       \
            const code *upper = source + mirrored(y - 1, height) * values;                         \
            const code *middle = source + y * values;                                              \
            const code *lower = source + mirrored(y + 1, height) * values;                         \
            for (ptrdiff_t i = 0; i < values; i++)                                                 \
                sums[3 + i] = (sum)(upper[i] + middle[i] + lower[i]);                              \
            mirror_ends_##bits(sums, width, 1);                                                    \
            for (ptrdiff_t i = 0; i < values; i++) {                                               \
                const sum beside = (sum)(sums[i] + sums[i + 3] + sums[i + 6] - middle[i]);               \
                target[i] = rounded_##bits(centre * middle[i] + around * (float)(int32_t)beside);  \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    /* The mean of a square with a side of 3, 5, 7 or 9 pixels. */                                 \
    KERNEL(blur_##bits)(const code *source, code *target, ptrdiff_t width, ptrdiff_t height,       \
                        ptrdiff_t first, ptrdiff_t rows, int32_t size, sum *sums)                  \
    {                                                                                              \
        const ptrdiff_t values = 3 * width, reach = size / 2;                                      \
        sum *inner = sums + 3 * reach;                                                             \
        memset(inner, 0, (size_t)values * sizeof *inner);                                          \
        for (ptrdiff_t y = first - reach; y < first + reach; y++) {                                \
            const code *row = source + mirrored(y, height) * values;                               \
            for (ptrdiff_t i = 0; i < values; i++)                                                 \
                inner[i] = (sum)(inner[i] + row[i]);                                               \
        }                                                                                          \
        for (ptrdiff_t y = first; y < first + rows; y++, target += values) {                       \
            const code *entering = source + mirrored(y + reach, height) * values;                  \
            const code *leaving = source + mirrored(y - reach, height) * values;                   \
            for (ptrdiff_t i = 0; i < values; i++)                                                 \
                inner[i] = (sum)(inner[i] + entering[i]);                                          \
            mirror_ends_##bits(sums, width, reach);                                                \
            switch (size) {                                                                        \
            case 3: means_##bits(sums, target, values, 3); break;                                  \
            case 5: means_##bits(sums, target, values, 5); break;                                  \
            case 7: means_##bits(sums, target, values, 7); break;                                  \
            default: means_##bits(sums, target, values, 9); break;                                 \
            }                                                                                      \
            for (ptrdiff_t i = 0; i < values; i++)                                                 \
                inner[i] = (sum)(inner[i] - leaving[i]);                                           \
        }                                                                                          \
    }

FILTERS(8, uint8_t, uint16_t)
FILTERS(16, uint16_t, uint32_t)
