using System.Net;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;

namespace QwenServe.Benchmarks;

/// <summary>
/// The least that a server of events can do: Kestrel, and for each stream a loop that writes one ready-made chunk a step and flushes it.
/// No JSON, no text, no engine; what a server costs beyond this is its own.
/// </summary>
internal sealed class PlainEvents : IAsyncDisposable
{
    private readonly WebApplication _web;

    private PlainEvents(WebApplication web) => _web = web;

    public Uri Address { get; private set; } = new("http://127.0.0.1");

    public static async Task<PlainEvents> StartAsync(int tokens, TimeSpan step)
    {
        byte[] chunk = Encoding.ASCII.GetBytes($$"""data: {"id":"chatcmpl-{{new string('0', 32)}}","object":"chat.completion.chunk","created":1700000000,"model":"bench","choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}]}""" + "\n\n");
        byte[] end = "data: [DONE]\n\n"u8.ToArray();
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var web = builder.Build();
        var pace = new Pace(step);
        web.Run(async context =>
        {
            await context.Request.Body.CopyToAsync(Stream.Null);
            context.Response.ContentType = "text/event-stream";
            var writer = context.Response.BodyWriter;
            for (int i = 0; i < tokens; i++)
            {
                await pace.NextAsync();
                chunk.CopyTo(writer.GetSpan(chunk.Length));
                writer.Advance(chunk.Length);
                await writer.FlushAsync();
            }
            await writer.WriteAsync(end);
        });
        await web.StartAsync();
        return new PlainEvents(web) { Address = new Uri(web.Urls.First()) };
    }

    public ValueTask DisposeAsync() => _web.DisposeAsync();

    /// <summary>Wakes all streams once a step, as an engine does.</summary>
    private sealed class Pace
    {
        private volatile TaskCompletionSource _step = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Pace(TimeSpan step) => new Thread(() =>
        {
            while (true)
            {
                Thread.Sleep(step);
                var done = _step;
                _step = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                done.SetResult();
            }
        })
        { IsBackground = true }.Start();

        public Task NextAsync() => _step.Task;
    }
}
