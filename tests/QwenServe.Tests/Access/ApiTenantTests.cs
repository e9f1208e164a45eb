using Microsoft.AspNetCore.Http;
using QwenServe.Access;
using QwenServe.OpenAI.Wire;

namespace QwenServe.Tests.Access;

public class ApiTenantTests
{
    private readonly ManualTime _time = new();

    [Fact]
    public void A_minutes_requests_may_come_at_once_and_then_one_at_a_time()
    {
        var tenant = Tenant(new(6, null, null));
        for (int i = 0; i < 6; i++) tenant.Enter();
        Assert.Equal((429, "rate_limit_exceeded", 10.0), Refused(tenant.Enter));
        _time.Pass(TimeSpan.FromSeconds(9));
        Assert.Equal((429, "rate_limit_exceeded", 1.0), Refused(tenant.Enter));
        _time.Pass(TimeSpan.FromSeconds(1));
        tenant.Enter();
        Assert.Equal((429, "rate_limit_exceeded", 10.0), Refused(tenant.Enter));
        _time.Pass(TimeSpan.FromHours(1));
        for (int i = 0; i < 6; i++) tenant.Enter();
        Refused(tenant.Enter);
    }

    [Fact]
    public void A_refused_request_uses_nothing_up()
    {
        var tenant = Tenant(new(10, null, 1));
        tenant.Enter();
        for (int i = 0; i < 50; i++) Assert.Equal((429, "rate_limit_exceeded", 1.0), Refused(tenant.Enter));
        tenant.Leave();
        for (int i = 0; i < 9; i++)
        {
            tenant.Enter();
            tenant.Leave();
        }
        Refused(tenant.Enter);
    }

    [Fact]
    public void Requests_at_once_are_counted_until_they_leave()
    {
        var tenant = Tenant(new(null, null, 2));
        tenant.Enter();
        tenant.Enter();
        Refused(tenant.Enter);
        tenant.Leave();
        tenant.Enter();
        Assert.Equal(2, tenant.Running);
    }

    [Fact]
    public void Tokens_are_reserved_at_the_start_and_settled_at_the_end()
    {
        var tenant = Tenant(new(null, 600, null));
        long first = tenant.Reserve(100, 400);
        Assert.Equal(500, first);
        Assert.Equal((429, "rate_limit_exceeded", 10.0), Refused(() => tenant.Reserve(150, 50)));
        tenant.Settle(first, 120);
        // 480 are left.
        Assert.Equal(480, tenant.Reserve(80, 400));
        Assert.Equal((429, "rate_limit_exceeded", 0.1), Refused(() => tenant.Reserve(1, 0)));
    }

    [Fact]
    public void What_was_not_reserved_is_owed()
    {
        var tenant = Tenant(new(null, 60, null));
        long reserved = tenant.Reserve(20, 0);
        tenant.Settle(reserved, 100);
        // 40 below zero, at one a second.
        Assert.Equal((429, "rate_limit_exceeded", 41.0), Refused(() => tenant.Reserve(1, 0)));
        _time.Pass(TimeSpan.FromSeconds(41));
        tenant.Reserve(1, 0);
    }

    [Fact]
    public void More_than_a_minutes_tokens_wait_for_a_full_minute_but_a_prompt_of_more_never_fits()
    {
        var tenant = Tenant(new(null, 100, null));
        Assert.Equal(100, tenant.Reserve(50, 100_000));
        Refused(() => tenant.Reserve(1, 0));
        _time.Pass(TimeSpan.FromMinutes(1));
        var never = Assert.Throws<ApiException>(() => tenant.Reserve(101, 0));
        Assert.Equal((429, false, null), (never.Status, never.ShouldRetry, never.RetryAfter));
        Assert.Equal(100, tenant.Reserve(100, 0));
    }

    [Fact]
    public void Headers_tell_what_remains_and_when_it_is_full_again()
    {
        var tenant = Tenant(new(60, 6000, null));
        tenant.Enter();
        tenant.Reserve(1000, 500);
        var headers = new HeaderDictionary();
        tenant.WriteHeaders(headers);
        Assert.Equal("60 59 1s 6000 4500 15s", string.Join(' ', new[] { "limit-requests", "remaining-requests", "reset-requests", "limit-tokens", "remaining-tokens", "reset-tokens" }.Select(h => headers["x-ratelimit-" + h].ToString())));
        Assert.All(headers.Keys, h => Assert.Contains(h, ApiTenant.Headers));
        var none = new HeaderDictionary();
        Tenant(default).WriteHeaders(none);
        Assert.Empty(none);
    }

    [Theory]
    [InlineData(0, "0ms")]
    [InlineData(0.0195, "20ms")]
    [InlineData(8.64, "8.64s")]
    [InlineData(66, "1m6s")]
    [InlineData(86400, "1440m0s")]
    public void Durations_are_spelled_as_OpenAI_spells_them(double seconds, string expected) => Assert.Equal(expected, ApiTenant.Spell(TimeSpan.FromSeconds(seconds)));

    [Fact]
    public void Changed_limits_hold_at_once_and_unchanged_ones_keep_their_count()
    {
        var tenant = Tenant(new(2, 100, null));
        tenant.Enter();
        tenant.Enter();
        tenant.Limit(new(2, 50, 9));
        Refused(tenant.Enter);
        tenant.Limit(new(3, 50, 9));
        tenant.Enter();
        tenant.Limit(default);
        for (int i = 0; i < 100; i++) tenant.Enter();
    }

    [Fact]
    public async Task Many_threads_together_get_no_more_than_the_limit()
    {
        var tenant = Tenant(new(100, 5000, null));
        int admitted = 0;
        long tokens = 0;
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() =>
        {
            for (int i = 0; i < 50; i++)
            {
                try
                {
                    tenant.Enter();
                    Interlocked.Increment(ref admitted);
                    Interlocked.Add(ref tokens, tenant.Reserve(70, 0));
                }
                catch (ApiException)
                {
                    // At the limit.
                }
            }
        })));
        Assert.Equal((100, 71 * 70), (admitted, tokens));
    }

    private ApiTenant Tenant(KeyLimits limits) => new("team", limits, _time);

    private static (int Status, string? Code, double Seconds) Refused(Action action)
    {
        var error = Assert.Throws<ApiException>(action);
        return (error.Status, error.Code, Math.Round(error.RetryAfter!.Value.TotalSeconds, 3));
    }
}
