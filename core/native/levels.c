/* What this library is made of, and which of its builds the processor can run. */

#define VISIBLE __attribute__((visibility("default")))

VISIBLE const char *imgedit_sources(void);
VISIBLE const char *imgedit_level(void);

/* A hash of the sources, as hatch_build.py found them. */
const char *imgedit_sources(void)
{
    return SOURCES;
}

/* What the names of the best build begin with; empty where none can run. */
const char *imgedit_level(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return "avx512_";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return "avx2_";
    return "";
#elif defined(__aarch64__)
    return "neon_";
#else
    return "";
#endif
}
