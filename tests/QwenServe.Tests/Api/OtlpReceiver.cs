using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace QwenServe.Tests.Api;

/// <summary>A span as it came over the wire; times in nanoseconds since 1970.</summary>
internal sealed record ReceivedSpan(string TraceId, string SpanId, string ParentId, string Name, long Start, long End, bool Failed, IReadOnlyDictionary<string, string> Attributes, string Service)
{
    public double Milliseconds => (End - Start) / 1e6;
}

/// <summary>
/// What a collector does with OTLP in protobuf, over HTTP or over gRPC (HTTP/2 without TLS): as much of opentelemetry/proto/trace/v1/trace.proto as
/// spans need, read field by field.
/// </summary>
internal sealed class OtlpReceiver : IAsyncDisposable
{
    private readonly WebApplication _web;

    private readonly bool _grpc;

    private OtlpReceiver(WebApplication web, bool grpc) => (_web, _grpc) = (web, grpc);

    public Uri Address { get; private set; } = new("http://127.0.0.1");

    public ConcurrentQueue<ReceivedSpan> Spans { get; } = [];

    /// <summary>Path and headers of each request.</summary>
    public ConcurrentQueue<(string Path, string Headers)> Requests { get; } = [];

    public static async Task<OtlpReceiver> StartAsync(bool grpc = false)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0, l => l.Protocols = grpc ? HttpProtocols.Http2 : HttpProtocols.Http1));
        builder.Services.AddRoutingCore();
        var web = builder.Build();
        var receiver = new OtlpReceiver(web, grpc);
        web.Run(receiver.TakeAsync);
        await web.StartAsync();
        receiver.Address = new Uri(web.Urls.First());
        return receiver;
    }

    public ValueTask DisposeAsync() => _web.DisposeAsync();

    private async Task TakeAsync(HttpContext context)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        Requests.Enqueue((context.Request.Path.Value!, string.Join('\n', context.Request.Headers.Select(h => $"{h.Key}: {h.Value}"))));
        byte[] message = body.ToArray();
        if (_grpc)
        {
            // A byte that says whether it is compressed, the length in four bytes, big end first, then the message.
            Assert.Equal(0, message[0]);
            Assert.Equal(message.Length - 5, BinaryPrimitives.ReadInt32BigEndian(message.AsSpan(1)));
            message = message[5..];
        }
        foreach (var (field, resourceSpans) in Fields(message))
        {
            if (field != 1) continue;
            string service = "";
            foreach (var (kind, part) in Fields(resourceSpans))
            {
                if (kind == 1) service = Attributes(Fields(part).Where(f => f.Field == 1).Select(f => f.Value)).GetValueOrDefault("service.name", "");
                if (kind != 2) continue;
                foreach (var span in Fields(part).Where(f => f.Field == 2)) Spans.Enqueue(Read(span.Value, service));
            }
        }
        context.Response.ContentType = _grpc ? "application/grpc" : "application/x-protobuf";
        if (!_grpc) return;
        await context.Response.Body.WriteAsync(new byte[5]);
        context.Response.AppendTrailer("grpc-status", "0");
    }

    private static ReceivedSpan Read(byte[] bytes, string service)
    {
        var fields = Fields(bytes).ToLookup(f => f.Field, f => f.Value);
        byte[] status = fields[15].FirstOrDefault() ?? [];
        bool failed = Fields(status).Any(f => f.Field == 3 && BitConverter.ToInt64(f.Value) == 2);
        return new ReceivedSpan(Hex(1), Hex(2), Hex(4), Encoding.UTF8.GetString(fields[5].Single()), Time(7), Time(8), failed, Attributes(fields[9]), service);

        string Hex(int field) => Convert.ToHexStringLower(fields[field].FirstOrDefault() ?? []);
        long Time(int field) => BitConverter.ToInt64(fields[field].Single());
    }

    private static Dictionary<string, string> Attributes(IEnumerable<byte[]> pairs)
    {
        var attributes = new Dictionary<string, string>();
        foreach (byte[] pair in pairs)
        {
            var parts = Fields(pair).ToDictionary(f => f.Field, f => f.Value);
            attributes[Encoding.UTF8.GetString(parts[1])] = parts.TryGetValue(2, out var value) ? Text(value) : "";
        }
        return attributes;
    }

    private static string Text(byte[] any) => string.Join(',', Fields(any).Select(f => f.Field switch
    {
        1 => Encoding.UTF8.GetString(f.Value),
        4 => BitConverter.ToDouble(f.Value).ToString(System.Globalization.CultureInfo.InvariantCulture),
        5 => string.Join(',', Fields(f.Value).Select(v => Text(v.Value))),
        _ => BitConverter.ToInt64(f.Value).ToString(System.Globalization.CultureInfo.InvariantCulture),
    }));

    /// <summary>The fields of a message; numbers as eight bytes.</summary>
    private static IEnumerable<(int Field, byte[] Value)> Fields(byte[] message)
    {
        int at = 0;
        while (at < message.Length)
        {
            ulong tag = Varint();
            int field = (int)(tag >> 3);
            switch (tag & 7)
            {
                case 0:
                    yield return (field, BitConverter.GetBytes(Varint()));
                    break;
                case 1:
                    yield return (field, message[at..(at += 8)]);
                    break;
                case 2:
                    int length = (int)Varint();
                    yield return (field, message[at..(at += length)]);
                    break;
                case 5:
                    yield return (field, [.. message[at..(at += 4)], 0, 0, 0, 0]);
                    break;
                default:
                    throw new InvalidDataException($"wire type {tag & 7}");
            }
        }

        ulong Varint()
        {
            ulong value = 0;
            for (int shift = 0; ; shift += 7)
            {
                byte next = message[at++];
                value |= (ulong)(next & 127) << shift;
                if (next < 128) return value;
            }
        }
    }
}
