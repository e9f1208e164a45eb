using QwenServe.Engine;
using static QwenServe.Tests.Engine.ScriptedEngine;

namespace QwenServe.Tests.Engine;

/// <summary>What the queue takes, and what it tells those it does not. Nothing is stepped unless a test says so.</summary>
public class QueueTests
{
    private static readonly EngineOptions Small = new() { MaxModelLength = 200, BlockSize = 4, MaxNumSeqs = 1, MaxQueuedRequests = 4, MaxQueuedTokens = 100 };

    [Fact]
    public async Task An_aborted_request_gives_up_its_place_at_once()
    {
        using var scripted = new ScriptedEngine(Small);
        var streams = Enumerable.Range(0, 4).Select(i => scripted.Submit(Prompt(5, i))).ToList();
        Assert.Throws<EngineOverloadedException>(() => scripted.Submit(Prompt(5)));
        await streams[1].DisposeAsync();
        Assert.Equal((3, 15L), scripted.Engine.Queued);
        scripted.Submit(Prompt(5, 9));
        Assert.Throws<EngineOverloadedException>(() => scripted.Submit(Prompt(5)));
        scripted.Drain();
        Assert.Equal((0, 0L), scripted.Engine.Queued);
        Assert.Equal(1, scripted.Engine.Metrics.Ended(FinishReason.Abort));
    }

    [Fact]
    public async Task An_abort_after_the_first_step_frees_no_second_place()
    {
        using var scripted = new ScriptedEngine(Small);
        var running = scripted.Submit(Prompt(5), 50);
        scripted.Step();
        for (int i = 0; i < 4; i++) scripted.Submit(Prompt(5, i));
        await running.DisposeAsync();
        Assert.Equal((4, 20L), scripted.Engine.Queued);
        Assert.Throws<EngineOverloadedException>(() => scripted.Submit(Prompt(5)));
        scripted.Drain();
    }

    [Fact]
    public void Requests_submitted_together_are_taken_or_refused_together()
    {
        using var scripted = new ScriptedEngine(Small);
        scripted.Submit(Prompt(5), 2);
        Assert.Throws<EngineOverloadedException>(() => scripted.Engine.SubmitAll(Batch(4, 5)));
        Assert.Equal((1, 5L), scripted.Engine.Queued);
        Assert.Equal(3, scripted.Engine.SubmitAll(Batch(3, 5)).Length);
        Assert.Equal((4, 20L), scripted.Engine.Queued);
        scripted.Drain();
    }

    [Fact]
    public void An_empty_queue_takes_any_batch_that_the_server_serves()
    {
        using var scripted = new ScriptedEngine(Small);
        var streams = scripted.Engine.SubmitAll(Batch(30, 50));
        Assert.Equal((30, 1500L), scripted.Engine.Queued);
        Assert.Throws<EngineOverloadedException>(() => scripted.Submit(Prompt(1)));
        scripted.Drain();
        Assert.All(streams, s => Assert.Equal(2, Tokens(Read(s)).Length));
    }

    [Fact]
    public void A_tenant_with_less_than_its_share_is_taken_though_another_has_filled_the_queue()
    {
        using var scripted = new ScriptedEngine(Small with { MaxNumSeqs = 8 });
        for (int i = 0; i < 4; i++) scripted.Submit(Prompt(5, i), tenant: "a");
        Assert.Throws<EngineOverloadedException>(() => scripted.Submit(Prompt(5), tenant: "a"));
        // Four places, two tenants: two each.
        scripted.Submit(Prompt(90, 10), tenant: "b");
        Assert.Throws<EngineOverloadedException>(() => scripted.Submit(Prompt(5), tenant: "b"));
        scripted.Submit(Prompt(5, 12), tenant: "c");
        Assert.Throws<EngineOverloadedException>(() => scripted.Submit(Prompt(5), tenant: "c"));
        Assert.Equal((6, 115L), scripted.Engine.Queued);
        scripted.Drain();
        Assert.Equal((0, 0L), scripted.Engine.Queued);
        for (int i = 0; i < 4; i++) scripted.Submit(Prompt(5, i), tenant: "b");
        scripted.Drain();
    }

    [Fact]
    public void The_time_that_a_queue_takes_is_told_by_what_leaves_it_in_requests_and_in_tokens()
    {
        var rate = new DrainRate(10);
        rate.Begin(100);
        for (int i = 1; i <= 100; i++) rate.Left(100 + i / 4.0, 1, 50);
        // Four requests and 200 tokens a second.
        Assert.Equal(5, rate.SecondsFor(125, 20, 0), 0.2);
        Assert.Equal(30, rate.SecondsFor(125, 20, 6000), 1.0);
        // Time without anything waiting does not count.
        rate.Begin(1000);
        Assert.Equal(5, rate.SecondsFor(1000, 20, 0), 0.2);
        // A standstill does.
        Assert.True(rate.SecondsFor(1020, 20, 0) > 15);
    }

    [Fact]
    public void A_pace_that_changes_is_noticed_within_the_horizon()
    {
        var rate = new DrainRate(10);
        rate.Begin(0);
        for (int i = 1; i <= 300; i++) rate.Left(i / 10.0, 1, 1);
        Assert.Equal(1, rate.SecondsFor(30, 10, 0), 0.1);
        for (int i = 1; i <= 30; i++) rate.Left(30 + i, 1, 1);
        Assert.InRange(rate.SecondsFor(60, 10, 0), 6, 10.5);
    }

    [Fact]
    public void Before_anything_has_left_the_time_told_is_at_least_the_time_waited()
    {
        var rate = new DrainRate(10);
        rate.Begin(50);
        Assert.InRange(rate.SecondsFor(50, 1000, 1000), 0, 0.01);
        Assert.InRange(rate.SecondsFor(58, 1, 1), 5, 8);
    }

    [Fact]
    public void Those_refused_are_spread_over_the_time_the_queue_takes()
    {
        using var scripted = new ScriptedEngine(Small with { MaxQueuedRequests = 40, MaxQueuedTokens = 1000 });
        for (int i = 0; i < 40; i++) scripted.Submit(Prompt(5, i), 1);
        // A pace of about 20 requests a second.
        for (int i = 0; i < 10; i++)
        {
            Thread.Sleep(50);
            scripted.Step();
            scripted.Submit(Prompt(5, 100 + i), 1);
        }
        var told = Enumerable.Range(0, 200).Select(_ => Assert.Throws<EngineOverloadedException>(() => scripted.Submit(Prompt(5))).RetryAfter.TotalSeconds).ToList();
        Assert.True(told[0] < told[^1], $"{told[0]} and {told[^1]} seconds");
        Assert.Equal(told.Order(), told);
        Assert.All(told, t => Assert.InRange(t, 1, 60));
        Assert.All(told, t => Assert.Equal(Math.Floor(t), t));
        scripted.Drain();
    }

    private static GenerationRequest[] Batch(int count, int length)
        => [.. Enumerable.Range(0, count).Select(i => new GenerationRequest { Id = $"b{i}", Prompt = Prompt(length, 1000 + i), MaxTokens = 2, Sampling = new() { IgnoreEos = true } })];
}
