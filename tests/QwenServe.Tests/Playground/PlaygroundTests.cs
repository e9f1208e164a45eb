using Microsoft.Extensions.DependencyInjection;
using QwenServe.Hosting;
using QwenServe.Settings;
using QwenServe.Tests.Api;

namespace QwenServe.Tests.Playground;

/// <summary>The page in a browser; what each suite does is in node/playground.mjs.</summary>
public class PlaygroundTests(Browser browser) : IClassFixture<Browser>
{
    private const string Hostile = """
        <script>window.pwned = 1</script><img src=x onerror="window.pwned = 1"><svg onload="window.pwned = 1"></svg>
        [a link](javascript:window.pwned=1) [another](data:text/html,<script>1</script>) <a href="javascript:window.pwned=1">raw</a>
        [good](https://example.org/?q="onmouseover="window.pwned=1)
        """;

    private const string Markdown = """
        # Title

        Some **bold**, *soft* and `inline <b>` text with snake_case_names. https://example.org/page.

        - one
          1. inner
        - two

        > quoted

        | name | n |
        |:-----|--:|
        | a | 1 |

        ```python
        print("<i>hi</i>")
        ```
        """;

    private static string? LastUser(string prompt) => prompt.Split("<|im_start|>user\n").Last().Split("<|im_end|>").First();

    /// <summary>Says what the suites ask for by a word; a numbered line otherwise, so that two answers differ.</summary>
    private static ScriptedModel Script()
    {
        int count = 0;
        return ScriptedModel.Saying(prompt => LastUser(prompt) switch
        {
            { } said when said.Contains("<tool_response>", StringComparison.Ordinal) => "It is 21 degrees in Paris and 24 in Rome.",
            { } said when said.Contains("weather", StringComparison.Ordinal) => NodeTests.Calls,
            { } said when said.Contains("person", StringComparison.Ordinal) => "{\"name\": \"Ada\", \"age\": 36}",
            { } said when said.Contains("hostile", StringComparison.Ordinal) => Hostile,
            { } said when said.Contains("markdown", StringComparison.Ordinal) => Markdown,
            { } said when said.Contains("probabilities", StringComparison.Ordinal) => "Seven is a prime number.",
            _ => $"Answer number {Interlocked.Increment(ref count)}.",
        });
    }

    [BrowserFact]
    public Task Regenerates_edits_and_begins_anew() => RunAsync("turns");

    [BrowserFact]
    public Task Sends_the_settings_and_the_model_that_were_chosen() => RunAsync("settings");

    [BrowserFact]
    public Task Shows_calls_takes_their_results_and_goes_on() => RunAsync("tools");

    [BrowserFact]
    public Task Shows_and_checks_an_answer_that_has_a_schema() => RunAsync("schema");

    [BrowserFact]
    public Task Shows_what_else_each_token_could_have_been() => RunAsync("probabilities");

    [BrowserFact]
    public Task What_a_model_writes_stays_text() => RunAsync("hostile");

    [BrowserFact]
    public Task Draws_markdown() => RunAsync("markdown");

    [BrowserFact]
    public Task Reads_events_wherever_the_network_cuts_them() => RunAsync("events");

    [BrowserFact]
    public Task Folds_reasoning_away_once_the_answer_begins() => RunAsync("reasoning");

    [BrowserFact]
    public Task Keeps_exports_and_repeats_a_conversation() => RunAsync("kept");

    [BrowserFact]
    public Task Is_light_or_dark_as_the_system_or_the_user_says() => RunAsync("themes");

    [BrowserFact]
    public Task Fits_a_phone() => RunAsync("phone");

    [BrowserFact]
    public Task Needs_no_mouse() => RunAsync("keyboard");

    [BrowserFact]
    public Task Has_no_fault_that_axe_finds() => RunAsync("accessible");

    [BrowserFact]
    public Task Shows_a_refusal_in_its_place_and_tries_again() => RunAsync("refusals");

    [BrowserFact]
    public async Task Streams_an_answer_and_stops_it()
    {
        var model = ScriptedModel.Endless();
        model.Device.StepTime = TimeSpan.FromMilliseconds(50);
        await using var server = await TestServer.StartAsync(model);
        await browser.RunAsync(server, "stop");
        // What was stopped is not computed any further.
        await WaitAsync(() => server.App.Services.GetRequiredService<Lifecycle>().Running == 0);
    }

    [BrowserFact]
    public async Task Says_when_a_stream_breaks_and_keeps_what_came()
    {
        var model = ScriptedModel.Endless();
        model.Device.StepTime = TimeSpan.FromMilliseconds(50);
        await using var server = await TestServer.StartAsync(model);
        await browser.RunAsync(server, "broken", line =>
        {
            if (line == "streaming") model.Device.Fault = new InvalidOperationException("the device is gone");
        });
    }

    [BrowserFact]
    public async Task Asks_for_a_key_and_forgets_it_with_the_tab()
    {
        await using var server = await TestServer.StartAsync(Script(), s => s with { Server = s.Server with { ApiKeys = ["secret"] } });
        await browser.RunAsync(server, "key");
    }

    [BrowserFact]
    public async Task Tells_how_far_the_model_is_and_unlocks_itself()
    {
        var go = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        async Task<ServedModel> Slow(QwenServeSettings settings, Action<string, double?, string?> report, CancellationToken cancel)
        {
            report("loading weights", 0.42, null);
            await go.Task.WaitAsync(cancel);
            return await Script().LoadAsync(settings, report, cancel);
        }
        await using var server = await TestServer.StartAsync(Slow, waitUntilReady: false);
        await browser.RunAsync(server, "loading", line =>
        {
            if (line == "locked") go.TrySetResult();
        });
        await server.App.WhenReadyAsync();
    }

    [BrowserFact]
    public async Task Its_examples_work_with_the_embedded_model()
    {
        await using var server = await TestServer.StartEmbeddedAsync();
        await browser.RunAsync(server, "examples");
    }

    private static async Task WaitAsync(Func<bool> condition)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!condition()) await Task.Delay(20, patience.Token);
    }

    private async Task RunAsync(string suite)
    {
        await using var server = await TestServer.StartAsync(Script());
        await browser.RunAsync(server, suite);
    }
}
