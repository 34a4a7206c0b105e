/* Weighted sums of the three channels. `pixels` counts pixels; arrays hold three values each. */

#include "digits.h"
#include "pixels.h"

/* A block as planes in single precision, red first. */
INLINE void planes_of_8(const uint8_t *rgb, float planes[3][BLOCK])
{
    uint8_t codes[3][BLOCK];
    split_8(rgb, codes[0], codes[1], codes[2]);
    for (int channel = 0; channel < 3; channel++)
        for (int i = 0; i < BLOCK; i++)
            planes[channel][i] = codes[channel][i];
}

INLINE void planes_of_16(const uint16_t *rgb, float planes[3][BLOCK])
{
    uint16_t codes[3][BLOCK];
    split_16(rgb, codes[0], codes[1], codes[2]);
    for (int channel = 0; channel < 3; channel++)
        for (int i = 0; i < BLOCK; i++)
            planes[channel][i] = codes[channel][i];
}

/* One result of a pixel, in steps of 16 bits, rounded to even and limited. OpenCV sums to signed
   numbers, so the offset of a row is what is wanted less 32768. */
INLINE uint16_t sum_of(float red, float green, float blue, const float *weights)
{
    float sum = fmaf(red, weights[0], fmaf(green, weights[1], fmaf(blue, weights[2], weights[3])));
    sum = sum < -32768.0f ? -32768.0f : sum;
    sum = sum > 32767.0f ? 32767.0f : sum;
    return (uint16_t)rounded_bits(sum, WHOLE + 32768.0f);
}

#define SUMS_BLOCK(from, to, lost)                                                                 \
    INLINE void sums_block_##from##_to_##to(const uint##from##_t *source, uint##to##_t *target,    \
                                            const float *weights)                                  \
    {                                                                                              \
        uint##from##_t red[BLOCK], green[BLOCK], blue[BLOCK];                                      \
        uint##to##_t made[3][BLOCK];                                                               \
        split_##from(source, red, green, blue);                                                    \
        for (int i = 0; i < BLOCK; i++) {                                                          \
            float r = red[i], g = green[i], b = blue[i];                                           \
            made[0][i] = (uint##to##_t)(sum_of(r, g, b, weights) >> lost);                         \
            made[1][i] = (uint##to##_t)(sum_of(r, g, b, weights + 4) >> lost);                     \
            made[2][i] = (uint##to##_t)(sum_of(r, g, b, weights + 8) >> lost);                     \
        }                                                                                          \
        join_##to(target, made[0], made[1], made[2]);                                              \
    }

SUMS_BLOCK(8, 8, 8)
SUMS_BLOCK(8, 16, 0)
SUMS_BLOCK(16, 8, 8)

/* Weights are three rows of R, G, B and an offset, in steps of 16 bits for a code of the source;
   results of 8 bits are the upper byte. */

#ifdef __AVX512VNNI__
INLINE uint8_t code_of_sum(const uint8_t *rgb, int channel, const void *weights, int truncate)
{
    (void)truncate;
    return (uint8_t)(sum_of(rgb[0], rgb[1], rgb[2], (const float *)weights + 4 * channel) >> 8);
}
#endif

KERNEL(sums_8_to_8)(const uint8_t *source, uint8_t *target, size_t pixels, const float *weights)
{
#ifdef __AVX512VNNI__
    /* Half a step is added, as sums are rounded before the lower byte is cut off. What single
       precision leaves out, three times 2^-7 of these steps, goes into CLOSE. */
    double rows[12];
    for (int i = 0; i < 12; i++)
        rows[i] = (weights[i] + (i % 4 < 3 ? 0.0 : 32768.5)) / 256.0;
    digit_sums all;
    if (set_digits(&all, rows)) {
        IN_BLOCKS(uint8_t, source, uint8_t, target, pixels, digits_block, &all, code_of_sum,
                  weights, 1);
        return;
    }
#endif
    IN_BLOCKS(uint8_t, source, uint8_t, target, pixels, sums_block_8_to_8, weights);
}

KERNEL(sums_8_to_16)(const uint8_t *source, uint16_t *target, size_t pixels, const float *weights)
{
    IN_BLOCKS(uint8_t, source, uint16_t, target, pixels, sums_block_8_to_16, weights);
}

KERNEL(sums_16_to_8)(const uint16_t *source, uint8_t *target, size_t pixels, const float *weights)
{
    IN_BLOCKS(uint16_t, source, uint8_t, target, pixels, sums_block_16_to_8, weights);
}

/* --- sums in double precision, rounded or cut off to 8 bits ----------------------------------- */

enum { STEPS = 1 << 14, NEAR = 4 }; /* of a code; so many that single precision may leave out */

/* The order of the summands decides where a sum is a whole number: red is multiplied first, then
   green and blue are added. */
INLINE uint8_t toned_exactly(uint8_t red, uint8_t green, uint8_t blue, const double *weights,
                             int truncate)
{
    double sum = fma(blue, weights[2], fma(green, weights[1], red * weights[0]));
    sum = sum < 0.0 ? 0.0 : sum;
    sum = sum > 255.0 ? 255.0 : sum;
    return (uint8_t)(int32_t)(truncate ? sum : rint(sum));
}

INLINE void toned_in_double(const uint8_t *red, const uint8_t *green, const uint8_t *blue,
                            const double *weights, int truncate, uint8_t *made)
{
    for (int i = 0; i < BLOCK; i++)
        made[i] = toned_exactly(red[i], green[i], blue[i], weights, truncate);
}

INLINE uint32_t steps_of(float red, float green, float blue, const float *weights)
{
    return (uint32_t)(int32_t)fmaf(
        red, weights[0], fmaf(green, weights[1], fmaf(blue, weights[2], weights[3])));
}

INLINE uint8_t code_of(uint32_t steps)
{
    int32_t code = (int32_t)steps >> 14;
    code = code < 0 ? 0 : code;
    return (uint8_t)(code > 255 ? 255 : code);
}

/* How far above a code, or what was lower so far. */
INLINE uint32_t lower(uint32_t least, uint32_t steps)
{
    uint32_t above = steps & (STEPS - 1);
    return above < least ? above : least;
}

/* In single precision, weights in STEPS and NEAR added. Where a sum then is less than twice NEAR
   above a code, it could be on the wrong side, and the channel is computed again. */
INLINE void toned_block(const uint8_t *source, uint8_t *target, const double *matrix,
                        const float *weights, int truncate)
{
    uint8_t red[BLOCK], green[BLOCK], blue[BLOCK], made[3][BLOCK];
    split_8(source, red, green, blue);
    uint32_t least[3] = {STEPS, STEPS, STEPS};
    for (int i = 0; i < BLOCK; i++) {
        float r = red[i], g = green[i], b = blue[i];
        uint32_t first = steps_of(r, g, b, weights);
        uint32_t second = steps_of(r, g, b, weights + 4);
        uint32_t third = steps_of(r, g, b, weights + 8);
        least[0] = lower(least[0], first);
        least[1] = lower(least[1], second);
        least[2] = lower(least[2], third);
        made[0][i] = code_of(first);
        made[1][i] = code_of(second);
        made[2][i] = code_of(third);
    }
    for (int channel = 0; channel < 3; channel++)
        if (least[channel] < 2 * NEAR)
            toned_in_double(red, green, blue, matrix + 3 * channel, truncate, made[channel]);
    join_8(target, made[0], made[1], made[2]);
}

#ifdef __AVX512VNNI__
INLINE uint8_t toned_code(const uint8_t *rgb, int channel, const void *matrix, int truncate)
{
    return toned_exactly(rgb[0], rgb[1], rgb[2], (const double *)matrix + 3 * channel, truncate);
}
#endif

/* Codes through a matrix (three rows of R, G, B; the absolute values of a row add up to 8 at
   most) as in double precision, cut off or rounded to even. */
KERNEL(toned_8)(const uint8_t *source, uint8_t *target, size_t pixels, const double *matrix,
                int32_t truncate)
{
#ifdef __AVX512VNNI__
    double rows[12];
    for (int i = 0; i < 12; i++)
        rows[i] = i % 4 < 3 ? matrix[i / 4 * 3 + i % 4] : truncate ? 0.0 : 0.5;
    digit_sums all;
    if (set_digits(&all, rows)) {
        IN_BLOCKS(uint8_t, source, uint8_t, target, pixels, digits_block, &all, toned_code,
                  matrix, truncate);
        return;
    }
#endif
    float weights[12];
    for (int i = 0; i < 12; i++) {
        double weight = i % 4 < 3 ? matrix[i / 4 * 3 + i % 4] : truncate ? 0.0 : 0.5;
        weights[i] = (float)(weight * STEPS + (i % 4 < 3 ? 0 : NEAR));
    }
    IN_BLOCKS(uint8_t, source, uint8_t, target, pixels, toned_block, matrix, weights, truncate);
}

/* --- grey ------------------------------------------------------------------------------------- */

INLINE void grey_block_of_codes(const uint8_t *source, uint8_t *target, const int32_t *weights)
{
    uint8_t red[BLOCK], green[BLOCK], blue[BLOCK], made[BLOCK];
    split_8(source, red, green, blue);
    for (int i = 0; i < BLOCK; i++) {
        int32_t sum = weights[0] * red[i] + weights[1] * green[i] + weights[2] * blue[i];
        made[i] = (uint8_t)((sum + (1 << 14)) >> 15);
    }
    join_8(target, made, made, made);
}

INLINE void grey_block_of_values(const uint8_t *source, uint8_t *target, const float *weights)
{
    uint8_t red[BLOCK], green[BLOCK], blue[BLOCK], made[BLOCK];
    split_8(source, red, green, blue);
    for (int i = 0; i < BLOCK; i++) {
        float luma = fmaf(blue[i], weights[2], fmaf(red[i], weights[0], green[i] * weights[1]));
        made[i] = (uint8_t)(int32_t)rintf(luma);
    }
    join_8(target, made, made, made);
}

/* The luma of ITU-R BT.601 in all three channels: with weights of 15 bits, as OpenCV has it for
   codes, or in single precision. */

KERNEL(grey_of_codes)(const uint8_t *source, uint8_t *target, size_t pixels)
{
    static const int32_t weights[3] = {9798, 19235, 3735};
    IN_BLOCKS(uint8_t, source, uint8_t, target, pixels, grey_block_of_codes, weights);
}

KERNEL(grey_of_values)(const uint8_t *source, uint8_t *target, size_t pixels)
{
    static const float weights[3] = {0.299f, 0.587f, 0.114f};
    IN_BLOCKS(uint8_t, source, uint8_t, target, pixels, grey_block_of_values, weights);
}
