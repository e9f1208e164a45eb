using System.Diagnostics;
using QwenServe.Engine;
using static QwenServe.Tests.Engine.ScriptedEngine;

namespace QwenServe.Tests.Engine.Scheduling;

/// <summary>Who is computed when more wait than can run.</summary>
public class FairnessTests
{
    private static readonly EngineOptions Small = new() { MaxModelLength = 200, BlockSize = 4, MaxNumSeqs = 4, MaxNumBatchedTokens = 64 };

    [Theory]
    [InlineData("b", 1, 9)]
    [InlineData("a", 1000, 5000)]
    public void One_request_waits_for_its_own_tenants_thousand_and_not_for_anothers(string tenant, int least, int most)
    {
        using var scripted = new ScriptedEngine(Small);
        for (int i = 0; i < 1000; i++) scripted.Submit(Prompt(8, i), 8, tenant: "a");
        for (int i = 0; i < 20; i++) scripted.Step();
        var lone = scripted.Submit(Prompt(8, 2000), 8, tenant: tenant);
        int steps = 0;
        do
        {
            scripted.Step();
            steps++;
        }
        while (!lone.TryRead(out _));
        Assert.InRange(steps, least, most);
    }

    [Fact]
    public void Tenants_get_equal_shares_of_tokens_however_long_their_requests_are()
    {
        using var scripted = new ScriptedEngine(Small with { EnablePrefixCaching = false });
        var streams = new Dictionary<string, List<GenerationStream>> { ["long"] = [], ["short"] = [] };
        for (int i = 0; i < 60; i++) streams["long"].Add(scripted.Submit(Prompt(60, i), 40, tenant: "long"));
        for (int i = 0; i < 600; i++) streams["short"].Add(scripted.Submit(Prompt(6, 100 + i), 4, tenant: "short"));
        for (int i = 0; i < 600; i++) scripted.Step();
        var service = streams.ToDictionary(s => s.Key, s => s.Value.Select((stream, i) => (Prompt: s.Key == "long" ? 60 : 6, Drawn: Tokens(Read(stream)).Length)).Where(t => t.Drawn > 0).Sum(t => t.Prompt + 2 * t.Drawn));
        Assert.True(scripted.Engine.Queued.Requests > 100);
        Assert.InRange((double)service["long"] / service["short"], 0.85, 1.18);
    }

    [Fact]
    public void A_tenant_that_was_away_has_saved_nothing_up()
    {
        using var scripted = new ScriptedEngine(Small with { MaxNumSeqs = 1 });
        var old = Enumerable.Range(0, 60).Select(i => scripted.Submit(Prompt(8, i), 8, tenant: "a")).ToList();
        for (int i = 0; i < 200; i++) scripted.Step();
        int before = old.Sum(s => Tokens(Read(s)).Length);
        var late = Enumerable.Range(0, 60).Select(i => scripted.Submit(Prompt(8, 100 + i), 8, tenant: "b")).ToList();
        for (int i = 0; i < 160; i++) scripted.Step();
        int drawn = old.Sum(s => Tokens(Read(s)).Length), drawnLate = late.Sum(s => Tokens(Read(s)).Length);
        Assert.True(before > 150);
        Assert.InRange(drawn - drawnLate, -16, 16);
    }

    [Fact]
    public void Within_a_tenant_requests_run_by_arrival()
    {
        using var scripted = new ScriptedEngine(Small with { MaxNumSeqs = 1 });
        var order = Order(scripted, [.. Enumerable.Range(0, 6).Select(i => scripted.Submit(Prompt(5, i), 2, tenant: "a"))]);
        Assert.Equal([0, 1, 2, 3, 4, 5], order);
    }

    [Fact]
    public void Lower_priority_values_run_first_and_equal_ones_by_arrival()
    {
        using var scripted = new ScriptedEngine(Small with { MaxNumSeqs = 1, SchedulingPolicy = SchedulingPolicy.Priority });
        int[] priorities = [5, 0, -3, 0, 5, int.MinValue];
        var order = Order(scripted, [.. priorities.Select((p, i) => scripted.Submit(Prompt(5, i), 2, priority: p))]);
        Assert.Equal([5, 2, 1, 3, 0, 4], order);
    }

    [Fact]
    public void Priority_counts_between_tenants_before_fairness_does()
    {
        using var scripted = new ScriptedEngine(Small with { MaxNumSeqs = 1, SchedulingPolicy = SchedulingPolicy.Priority });
        var order = Order(scripted, [scripted.Submit(Prompt(5, 1), 2, tenant: "a", priority: 1), scripted.Submit(Prompt(5, 2), 2, tenant: "b", priority: 1), scripted.Submit(Prompt(5, 3), 2, tenant: "a", priority: 0), scripted.Submit(Prompt(5, 4), 2, tenant: "a", priority: 0)]);
        Assert.Equal([2, 3, 1, 0], order);
    }

    [Fact]
    public void The_lowest_priority_gives_up_its_blocks_first()
    {
        using var scripted = new ScriptedEngine(Small with { MaxModelLength = 28, SchedulingPolicy = SchedulingPolicy.Priority }, blocks: 8);
        var unimportant = scripted.Submit(Prompt(4, 1), 20, priority: 9);
        scripted.Step();
        var important = scripted.Submit(Prompt(4, 2), 20, priority: -1);
        while (scripted.Engine.Metrics.Preemptions == 0) scripted.Step();
        int had = Tokens(Read(unimportant)).Length;
        Read(important);
        scripted.Step();
        Assert.Empty(Read(unimportant));
        Assert.Single(Read(important));
        scripted.Drain();
        Assert.Equal(20, had + Tokens(Read(unimportant)).Length);
    }

    [Fact]
    public void A_request_is_not_preempted_for_one_that_was_admitted_after_it()
    {
        // Blocks for one and a half: what was admitted first ends first, though another tenant's requests came earlier.
        using var scripted = new ScriptedEngine(Small with { MaxModelLength = 28, MaxNumSeqs = 2 }, blocks: 8);
        for (int i = 0; i < 20; i++) scripted.Submit(Prompt(4, i), 20, tenant: "a");
        scripted.Step();
        var lone = scripted.Submit(Prompt(4, 50), 20, tenant: "b");
        for (int steps = 0; !lone.TryRead(out _); steps++)
        {
            Assert.True(steps < 60);
            scripted.Step();
        }
        // At most the two that were there before it get on at its cost.
        for (int steps = 0, read = 1; read < 20; steps++)
        {
            Assert.True(steps < 80, $"{read} tokens after {steps} steps");
            scripted.Step();
            read += Read(lone).Count;
        }
    }

    [Fact]
    public void A_priority_is_refused_where_the_policy_has_none()
    {
        using var scripted = new ScriptedEngine(Small);
        Assert.Equal("priority", Assert.Throws<InvalidParameterException>(() => scripted.Submit(Prompt(4), priority: 1)).Parameter);
    }

    [Fact]
    public void Tenants_are_forgotten_when_their_requests_have_ended()
    {
        using var scripted = new ScriptedEngine(Small);
        for (int round = 0; round < 3; round++)
        {
            for (int i = 0; i < 50; i++) scripted.Submit(Prompt(5, i), 3, choices: 1 + i % 3, tenant: $"t{round}-{i}");
            Assert.Equal(0, scripted.Engine.Scheduler.TenantCount);
            scripted.Step();
            Assert.InRange(scripted.Engine.Scheduler.TenantCount, 40, 50);
            scripted.Drain();
            Assert.Equal(0, scripted.Engine.Scheduler.TenantCount);
        }
    }

    [Fact]
    public void A_deadline_ends_a_running_request_between_its_tokens()
    {
        using var scripted = new ScriptedEngine(Small);
        var stream = scripted.Submit(Prompt(5), 190, timeout: TimeSpan.FromHours(1));
        scripted.Step();
        Assert.Single(Read(stream));
        scripted.Engine.Scheduler.EndExpired(Stopwatch.GetTimestamp() + 3590 * Stopwatch.Frequency);
        Assert.Empty(Read(stream));
        scripted.Engine.Scheduler.EndExpired(Stopwatch.GetTimestamp() + 3601 * Stopwatch.Frequency);
        var end = Assert.Single(Read(stream));
        Assert.Equal((-1, FinishReason.Timeout, "the request's time is over"), (end.Token, end.Finish, end.Error));
        Assert.Equal((0, 1), (scripted.Engine.Metrics.TimedOutQueued, scripted.Engine.Metrics.TimedOutRunning));
        Assert.False(scripted.Engine.Loop.HasWork);
    }

    /// <summary>Indexes of the streams as they get their first token.</summary>
    private static List<int> Order(ScriptedEngine scripted, GenerationStream[] streams)
    {
        var order = new List<int>();
        while (scripted.Engine.Loop.HasWork || order.Count == 0)
        {
            scripted.Step();
            for (int i = 0; i < streams.Length; i++)
                if (streams[i].TryRead(out _) && !order.Contains(i)) order.Add(i);
        }
        return order;
    }
}
