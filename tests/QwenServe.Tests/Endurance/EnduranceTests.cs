using QwenServe.Benchmarks.Endurance;
using QwenServe.Tests.Api;

namespace QwenServe.Tests.Endurance;

/// <summary>Short runs of the benchmarks <c>soak</c> and <c>overload</c>, for what holds on any machine however busy: figures are theirs.</summary>
public class EnduranceTests
{
    [Fact]
    public async Task Clients_of_all_kinds_get_what_they_should_and_leave_nothing_behind()
    {
        await using var server = await TestServer.StartEmbeddedAsync();
        using var soak = new Soak(server.App.Address, Hosting.ModelLoading.EmbeddedName);
        using var stop = new CancellationTokenSource(TimeSpan.FromSeconds(12));
        await soak.RunAsync(clients: 6, seed: 3, stop.Token);
        Assert.Null(await soak.RemainsAsync(TimeSpan.FromMinutes(1)));
        Assert.Empty(soak.Violations);
        Assert.True(soak.Counts.Count >= 3, string.Join(", ", soak.Counts));
    }

    [Fact]
    public async Task Five_times_too_much_is_answered_or_refused_and_leaves_nothing_behind()
    {
        await using var app = Overload.Server(TimeSpan.FromMilliseconds(20));
        await app.StartAsync();
        await app.WhenReadyAsync();
        var run = await Overload.MeasureAsync(app.Address, Overload.Model, Overload.Sequences, TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(5), factor: 5);
        Assert.DoesNotContain(run.Peak.Errors.Keys, k => k != "429"); // All clients begin at once, which may be more than the queue holds.
        Assert.Equal(["429"], run.Overloaded.Errors.Keys);
        Assert.All(run.Overloaded.Results.Where(r => r.Error is null), r => Assert.Equal(50, r.OutputTokens));
        using var after = new Soak(app.Address, Overload.Model);
        Assert.Null(await after.RemainsAsync(TimeSpan.FromMinutes(1)));
    }
}
