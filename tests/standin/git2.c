/* git2.c - stands in for libgit2, of which Criterion's runner uses these three functions, to show how two
 * texts differ.
 *
 * Criterion starts a test's program anew for each test. Loading libgit2 with its 15 libraries (TLS, Kerberos,
 * SSH) and starting them took half of that time. `meson test` lets the runner find this library by libgit2's
 * name (tests/meson.build). */
int git_libgit2_init(void);
int git_libgit2_shutdown(void);
int git_diff_buffers(void);

int git_libgit2_init(void)
{
    return 1; /* times that it was started */
}

int git_libgit2_shutdown(void)
{
    return 0;
}

/* Our tests compare texts with cr_assert_str_eq(), which asks for no difference. */
int git_diff_buffers(void)
{
    return -1; /* failed */
}
