/* Weighted sums of bytes where a processor multiplies four of them and adds up in one step.

   A weight is counted in steps of 2^-22 and taken apart into three digits of base 256, from -128 to
   127. The sums of the digits make the sum of the pixel, wrong by less than CLOSE steps: so its
   code is right unless the sum lies that near to where the code changes. Then it is computed again,
   as the caller says. */

#ifndef DIGITS_H
#define DIGITS_H

#include "pixels.h"

#ifdef __AVX512VNNI__
#include <immintrin.h>

enum { FRACTION = 22, CLOSE = 1 << 10, GROUP = 16 };

static const double MOST_OF_A_WEIGHT = 1.98, MOST_OF_A_SUM = 508.0; /* what 32 bits hold */

typedef struct {
    __m512i digits[3][3]; /* of a result's weights, the highest one first */
    __m512i offsets[3];
    __m512i spread;   /* of 16 pixels: each into four bytes, of which the last one is not used */
    __m512i order[3]; /* where the bytes of a block lie in its planes */
} digit_sums;

/* Where the pixels of a plane lie: four of each group after another. */
INLINE int place_of(int pixel)
{
    return pixel % GROUP / 4 * GROUP + pixel / GROUP * 4 + pixel % 4;
}

INLINE void set_order(digit_sums *all)
{
    uint8_t spread[BLOCK], order[VALUES];
    for (int i = 0; i < BLOCK; i++)
        spread[i] = (uint8_t)(i / 4 * 3 + i % 4);
    for (int i = 0; i < VALUES; i++)
        order[i] = (uint8_t)(place_of(i / 3) + (i % 3 == 1 ? BLOCK : 0));
    all->spread = _mm512_loadu_si512(spread);
    for (int part = 0; part < 3; part++)
        all->order[part] = _mm512_loadu_si512(order + BLOCK * part);
}

/* Three rows of weights for R, G, B and an offset, in codes; 0 where 32 bits are too few. */
INLINE int set_digits(digit_sums *all, const double *rows)
{
    for (int row = 0; row < 3; row++, rows += 4) {
        double most = fabs(rows[3]);
        uint32_t digits[3] = {0, 0, 0};
        for (int i = 0; i < 3; i++) {
            if (!(fabs(rows[i]) <= MOST_OF_A_WEIGHT))
                return 0;
            most += 255.0 * fabs(rows[i]);
            int32_t steps = (int32_t)rint(rows[i] * (1 << FRACTION));
            for (int k = 2; k >= 0; k--) {
                int32_t digit = ((steps + 128) & 255) - 128;
                digits[k] |= (uint32_t)(digit & 255) << 8 * i;
                steps = (steps - digit) / 256;
            }
        }
        if (!(most <= MOST_OF_A_SUM))
            return 0;
        for (int k = 0; k < 3; k++)
            all->digits[row][k] = _mm512_set1_epi32((int32_t)digits[k]);
        int32_t offset = (int32_t)rint(rows[3] * (1 << FRACTION));
        all->offsets[row] = _mm512_set1_epi32(offset + CLOSE);
    }
    set_order(all);
    return 1;
}

/* The code of a channel of one pixel as it is defined. */
typedef uint8_t exact_code(const uint8_t *rgb, int channel, const void *weights, int truncate);

INLINE uint64_t close_ones(__m512i sums)
{
    const __m512i above = _mm512_and_si512(sums, _mm512_set1_epi32((1 << FRACTION) - 1));
    return _mm512_cmplt_epu32_mask(above, _mm512_set1_epi32(2 * CLOSE));
}

/* A plane with the codes computed again whose sums are too close. */
INLINE __m512i mended(__m512i plane, const __m512i *sums, const uint8_t *source, int channel,
                      exact_code *exact, const void *weights, int truncate)
{
    uint64_t close = close_ones(sums[0]) | close_ones(sums[1]) << GROUP |
                     close_ones(sums[2]) << 2 * GROUP | close_ones(sums[3]) << 3 * GROUP;
    for (; close; close &= close - 1) {
        const int pixel = __builtin_ctzll(close);
        const char code = (char)exact(source + 3 * pixel, channel, weights, truncate);
        plane = _mm512_mask_set1_epi8(plane, (__mmask64)1 << place_of(pixel), code);
    }
    return plane;
}

INLINE void join_planes(uint8_t *target, const __m512i *planes, const digit_sums *all)
{
    static const __mmask64 blue[3] = {0x4924924924924924, 0x2492492492492492, 0x9249249249249249};
    for (int part = 0; part < 3; part++) {
        __m512i order = all->order[part];
        __m512i made = _mm512_permutex2var_epi8(planes[0], order, planes[1]);
        made = _mm512_mask_permutexvar_epi8(made, blue[part], order, planes[2]);
        _mm512_storeu_si512(target + BLOCK * part, made);
    }
}

INLINE void digits_block(const uint8_t *source, uint8_t *target, const digit_sums *all,
                         exact_code *exact, const void *weights, int truncate)
{
    const __m512i far = _mm512_set1_epi32(2 * CLOSE), rest = _mm512_set1_epi32((1 << FRACTION) - 1);
    __m512i pixels[4], planes[3];
    for (int group = 0; group < 4; group++) {
        __m512i packed = _mm512_maskz_loadu_epi8(0xffffffffffff, source + 3 * GROUP * group);
        pixels[group] = _mm512_permutexvar_epi8(all->spread, packed);
    }
    for (int channel = 0; channel < 3; channel++) {
        const __m512i *digits = all->digits[channel];
        __m512i sums[4], codes[4], least = _mm512_set1_epi32(-1);
        for (int group = 0; group < 4; group++) {
            __m512i sum = _mm512_dpbusd_epi32(_mm512_setzero_si512(), pixels[group], digits[0]);
            sum = _mm512_dpbusd_epi32(_mm512_slli_epi32(sum, 8), pixels[group], digits[1]);
            sum = _mm512_dpbusd_epi32(_mm512_slli_epi32(sum, 8), pixels[group], digits[2]);
            sums[group] = _mm512_add_epi32(sum, all->offsets[channel]);
            least = _mm512_min_epu32(least, _mm512_and_si512(sums[group], rest));
            codes[group] = _mm512_srai_epi32(sums[group], FRACTION);
        }
        planes[channel] = _mm512_packus_epi16(_mm512_packs_epi32(codes[0], codes[1]),
                                              _mm512_packs_epi32(codes[2], codes[3]));
        if (__builtin_expect(_mm512_cmplt_epu32_mask(least, far) != 0, 0))
            planes[channel] = mended(planes[channel], sums, source, channel, exact, weights, truncate);
    }
    join_planes(target, planes, all);
}
#endif

#endif
