/* What the kernels share: names, and pixels of three channels in blocks of planes.

   Every kernel is built once for each level of a processor's instructions (hatch_build.py); LEVEL is
   what the names of that build begin with. Loops are plain and of a fixed length, so that any
   compiler turns them into that level's vectors. Rows need not be aligned. Source and target may
   be the same memory; otherwise they must not overlap.

   fmaf and fma are written out wherever OpenCV fuses: with them results are its results, bit for
   bit, and -ffp-contract=off keeps compilers from fusing elsewhere. */

#ifndef PIXELS_H
#define PIXELS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define JOINED_AS_IS(a, b) a##b
#define JOINED(a, b) JOINED_AS_IS(a, b)
#define KERNEL(name) __attribute__((visibility("default"))) void JOINED(LEVEL, name)
#define INLINE static inline __attribute__((always_inline))

enum { BLOCK = 64, VALUES = 3 * BLOCK };

INLINE void split_8(const uint8_t *rgb, uint8_t *red, uint8_t *green, uint8_t *blue)
{
    for (int i = 0; i < BLOCK; i++) {
        red[i] = rgb[3 * i];
        green[i] = rgb[3 * i + 1];
        blue[i] = rgb[3 * i + 2];
    }
}

INLINE void split_16(const uint16_t *rgb, uint16_t *red, uint16_t *green, uint16_t *blue)
{
    for (int i = 0; i < BLOCK; i++) {
        red[i] = rgb[3 * i];
        green[i] = rgb[3 * i + 1];
        blue[i] = rgb[3 * i + 2];
    }
}

INLINE void join_8(uint8_t *rgb, const uint8_t *red, const uint8_t *green, const uint8_t *blue)
{
    for (int i = 0; i < BLOCK; i++) {
        rgb[3 * i] = red[i];
        rgb[3 * i + 1] = green[i];
        rgb[3 * i + 2] = blue[i];
    }
}

INLINE void join_16(uint16_t *rgb, const uint16_t *red, const uint16_t *green,
                    const uint16_t *blue)
{
    for (int i = 0; i < BLOCK; i++) {
        rgb[3 * i] = red[i];
        rgb[3 * i + 1] = green[i];
        rgb[3 * i + 2] = blue[i];
    }
}

/* The bits of a number that, added to an offset, has whole numbers in its lower bits, rounded to
   even: 1.5 * 2^23, and what its lowest 16 bits shall be for 0. */
INLINE uint32_t rounded_bits(float value, float offset)
{
    float moved = value + offset;
    uint32_t bits;
    memcpy(&bits, &moved, sizeof bits);
    return bits;
}

#define WHOLE 12582912.0f

/* `block(source, target, ...)` on all pixels; the last ones in a block that is filled up. */
#define IN_BLOCKS(source_type, source, target_type, target, pixels, block, ...)                    \
    do {                                                                                           \
        for (; pixels >= BLOCK; pixels -= BLOCK, source += VALUES, target += VALUES)               \
            block(source, target, __VA_ARGS__);                                                    \
        if (pixels > 0) {                                                                          \
            source_type last[VALUES] = {0};                                                        \
            target_type made[VALUES];                                                              \
            memcpy(last, source, 3 * pixels * sizeof *source);                                     \
            block(last, made, __VA_ARGS__);                                                        \
            memcpy(target, made, 3 * pixels * sizeof *target);                                     \
        }                                                                                          \
    } while (0)

#endif
