/* Every value by itself: through tables of codes, or scaled, shifted and limited. `values` counts
   values, `pixels` pixels of three. */

#include "pixels.h"

#ifdef __AVX512VBMI__
#include <immintrin.h>

typedef struct {
    __m512i quarters[4];
} byte_table;

INLINE byte_table loaded(const uint8_t *table)
{
    byte_table made;
    for (int i = 0; i < 4; i++)
        made.quarters[i] = _mm512_loadu_si512(table + 64 * i);
    return made;
}

INLINE __m512i looked_up(__m512i codes, const byte_table *table)
{
    __m512i low = _mm512_permutex2var_epi8(table->quarters[0], codes, table->quarters[1]);
    __m512i high = _mm512_permutex2var_epi8(table->quarters[2], codes, table->quarters[3]);
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(codes), low, high);
}

INLINE __mmask64 first(size_t count)
{
    return count >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << count) - 1;
}

/* One table of 256 codes for all values. */
KERNEL(table_8)(const uint8_t *source, uint8_t *target, size_t values, const uint8_t *codes)
{
    const byte_table table = loaded(codes);
    size_t i = 0;
    for (; i + 64 <= values; i += 64)
        _mm512_storeu_si512(target + i, looked_up(_mm512_loadu_si512(source + i), &table));
    __mmask64 rest = first(values - i);
    __m512i last = _mm512_maskz_loadu_epi8(rest, source + i);
    _mm512_mask_storeu_epi8(target + i, rest, looked_up(last, &table));
}

/* 64 values of three channels, the first of which belongs to channel `phase`. */
INLINE __m512i looked_up_each(__m512i codes, const byte_table *tables, int phase)
{
    const __mmask64 every_third = 0x9249249249249249u; /* bits 0, 3, 6 ... 63 */
    __m512i made = looked_up(codes, &tables[phase]);
    made = _mm512_mask_mov_epi8(made, every_third << 1, looked_up(codes, &tables[(phase + 1) % 3]));
    return _mm512_mask_mov_epi8(made, every_third << 2, looked_up(codes, &tables[(phase + 2) % 3]));
}

/* Three tables of 256 codes, one after another, for the three channels. */
KERNEL(tables_8)(const uint8_t *source, uint8_t *target, size_t pixels, const uint8_t *codes)
{
    const byte_table tables[3] = {loaded(codes), loaded(codes + 256), loaded(codes + 512)};
    size_t values = 3 * pixels, i = 0;
    for (; i + VALUES <= values; i += VALUES)
        for (int part = 0; part < 3; part++) {
            size_t at = i + 64 * (size_t)part; /* 64 is one more than a multiple of three */
            __m512i made = looked_up_each(_mm512_loadu_si512(source + at), tables, part);
            _mm512_storeu_si512(target + at, made);
        }
    for (int part = 0; i < values; i += 64, part++) {
        __mmask64 rest = first(values - i);
        __m512i last = looked_up_each(_mm512_maskz_loadu_epi8(rest, source + i), tables, part);
        _mm512_mask_storeu_epi8(target + i, rest, last);
    }
}

/* One table of 256 codes of 16 bits, given as its 256 lower and its 256 upper bytes. */
KERNEL(table_8_to_16)(const uint8_t *source, uint16_t *target, size_t values,
                      const uint8_t *bytes)
{
    const byte_table lower = loaded(bytes), upper = loaded(bytes + 256);
    uint8_t order[128]; /* a lower byte, its upper byte (64 further on), the next lower one ... */
    for (int i = 0; i < 128; i++)
        order[i] = (uint8_t)(i / 2 + i % 2 * 64);
    const __m512i front = _mm512_loadu_si512(order), back = _mm512_loadu_si512(order + 64);
    for (size_t i = 0; i < values; i += 64) {
        size_t left = values - i;
        __m512i codes = _mm512_maskz_loadu_epi8(first(left), source + i);
        __m512i low = looked_up(codes, &lower), high = looked_up(codes, &upper);
        uint8_t *place = (uint8_t *)(target + i);
        _mm512_mask_storeu_epi8(place, first(2 * left), _mm512_permutex2var_epi8(low, front, high));
        _mm512_mask_storeu_epi8(place + 64, left > 32 ? first(2 * left - 64) : 0,
                                _mm512_permutex2var_epi8(low, back, high));
    }
}
#endif

/* --- tables of 65,536 codes ------------------------------------------------------------------- */

/* Four pixels are read and written as three words of four values each, which spares two thirds of
   the reads and writes. A channel without a table (NULL) keeps its codes. */

INLINE uint64_t one_of(uint64_t word, int place, const uint16_t *restrict table)
{
    uint64_t code = word >> 16 * place & 0xffff;
    return (table ? table[code] : code) << 16 * place;
}

INLINE uint64_t four_of(uint64_t word, const uint16_t *restrict first,
                        const uint16_t *restrict second, const uint16_t *restrict third)
{
    return one_of(word, 0, first) | one_of(word, 1, second) | one_of(word, 2, third) |
           one_of(word, 3, first);
}

INLINE void tables_16_on(const uint16_t *source, uint16_t *target, size_t pixels,
                         const uint16_t *restrict red, const uint16_t *restrict green,
                         const uint16_t *restrict blue)
{
    for (; pixels >= 4; pixels -= 4, source += 12, target += 12) {
        uint64_t first, second, third;
        memcpy(&first, source, sizeof first);
        memcpy(&second, source + 4, sizeof second);
        memcpy(&third, source + 8, sizeof third);
        first = four_of(first, red, green, blue);
        memcpy(target, &first, sizeof first);
        second = four_of(second, green, blue, red);
        memcpy(target + 4, &second, sizeof second);
        third = four_of(third, blue, red, green);
        memcpy(target + 8, &third, sizeof third);
    }
    for (; pixels > 0; pixels--, source += 3, target += 3) {
        target[0] = red ? red[source[0]] : source[0];
        target[1] = green ? green[source[1]] : source[1];
        target[2] = blue ? blue[source[2]] : source[2];
    }
}

KERNEL(tables_16)(const uint16_t *source, uint16_t *target, size_t pixels, const uint16_t *red,
                  const uint16_t *green, const uint16_t *blue)
{
    if (red && green && blue)
        tables_16_on(source, target, pixels, red, green, blue);
    else if (red && !green && blue)
        tables_16_on(source, target, pixels, red, NULL, blue);
    else
        tables_16_on(source, target, pixels, red, green, blue);
}

INLINE uint64_t byte_of(uint64_t word, int place, const uint8_t *restrict table)
{
    return table[word >> 16 * place & 0xffff];
}

INLINE uint32_t bytes_of(uint64_t word, const uint8_t *restrict first,
                         const uint8_t *restrict second, const uint8_t *restrict third)
{
    return (uint32_t)(byte_of(word, 0, first) | byte_of(word, 1, second) << 8 |
                      byte_of(word, 2, third) << 16 | byte_of(word, 3, first) << 24);
}

KERNEL(tables_16_to_8)(const uint16_t *source, uint8_t *target, size_t pixels,
                       const uint8_t *restrict red, const uint8_t *restrict green,
                       const uint8_t *restrict blue)
{
    for (; pixels >= 4; pixels -= 4, source += 12, target += 12) {
        uint64_t first, second, third;
        memcpy(&first, source, sizeof first);
        memcpy(&second, source + 4, sizeof second);
        memcpy(&third, source + 8, sizeof third);
        const uint32_t one = bytes_of(first, red, green, blue);
        const uint32_t two = bytes_of(second, green, blue, red);
        const uint32_t three = bytes_of(third, blue, red, green);
        memcpy(target, &one, sizeof one);
        memcpy(target + 4, &two, sizeof two);
        memcpy(target + 8, &three, sizeof three);
    }
    for (; pixels > 0; pixels--, source += 3, target += 3) {
        target[0] = red[source[0]];
        target[1] = green[source[1]];
        target[2] = blue[source[2]];
    }
}

/* --- straight lines --------------------------------------------------------------------------- */

/* Codes of 16 bits times a gain plus an offset, limited to low..high and rounded to even. */

INLINE uint32_t moved(uint16_t code, float gain, float offset, float low, float high)
{
    float value = fmaf(code, gain, offset);
    value = value < low ? low : value;
    value = value > high ? high : value;
    return rounded_bits(value, WHOLE);
}

KERNEL(line_16)(const uint16_t *source, uint16_t *target, size_t values, float gain, float offset,
                float low, float high)
{
    for (size_t i = 0; i < values; i++)
        target[i] = (uint16_t)moved(source[i], gain, offset, low, high);
}

KERNEL(line_16_to_8)(const uint16_t *source, uint8_t *target, size_t values, float gain,
                     float offset, float low, float high)
{
    for (size_t i = 0; i < values; i++)
        target[i] = (uint8_t)moved(source[i], gain, offset, low, high);
}
