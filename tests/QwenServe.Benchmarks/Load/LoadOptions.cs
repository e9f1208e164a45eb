using System.Globalization;

namespace QwenServe.Benchmarks.Load;

/// <summary>What to send, how fast, and what counts as good.</summary>
internal sealed record LoadOptions
{
    public const string Usage = """
        load --url http://HOST:PORT/v1 --model NAME [options]
          arrivals      --rate R (open loop, Poisson, R a second) or --concurrency N (closed loop; default 8)
          how many      --requests N (default 200) or --duration SECONDS; --warmup N requests are sent first and not counted (default 8)
          lengths       --lengths fixed|sharegpt; fixed: --input 256 --output 128 (words, tokens)
          prefixes      --shared-prefix WORDS (a system prompt before each request) --prefix-groups N (different ones, default 1)
          request       --endpoint chat|completions --api-key KEY --ignore-eos --temperature T --session-header (x-session-id by prefix group)
          objectives    --slo-ttft SECONDS (0.5) --slo-tpot SECONDS (0.05) --slo-e2e SECONDS (none): goodput counts what meets all
          output        --svg FILE --json FILE --seed N --timeout SECONDS (600)
        """;

    public required Uri Url { get; init; }

    public required string Model { get; init; }

    public string? ApiKey { get; init; }

    public bool Chat { get; init; } = true;

    /// <summary>Ask for all tokens of the wanted length, an extension that vLLM, SGLang and QwenServe have.</summary>
    public bool IgnoreEos { get; init; }

    public double? Temperature { get; init; }

    public bool SessionHeader { get; init; }

    /// <summary>Requests a second; null for the closed loop.</summary>
    public double? Rate { get; init; }

    public int Concurrency { get; init; } = 8;

    public int Requests { get; init; } = 200;

    /// <summary>Ends by time and not by count, when given.</summary>
    public TimeSpan? Duration { get; init; }

    public int Warmup { get; init; } = 8;

    public LengthDistribution Lengths { get; init; } = LengthDistribution.Fixed(256, 128);

    /// <summary>Words of the prompt that requests of a group have in common; 0 for none.</summary>
    public int SharedPrefix { get; init; }

    public int PrefixGroups { get; init; } = 1;

    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(600);

    public double SloFirstToken { get; init; } = 0.5;

    public double SloPerToken { get; init; } = 0.05;

    public double SloEndToEnd { get; init; } = double.PositiveInfinity;

    public int Seed { get; init; } = 1;

    public string? Svg { get; init; }

    public string? Json { get; init; }

    /// <exception cref="ArgumentException">An option is missing or wrong.</exception>
    public static LoadOptions Parse(string[] args)
    {
        var options = new Options(args, Usage);
        string lengths = options.Text("lengths") ?? "fixed";
        string endpoint = options.Text("endpoint") ?? "chat";
        if (endpoint is not ("chat" or "completions")) throw new ArgumentException("--endpoint must be chat or completions");
        if (options.Text("rate") is not null && options.Text("concurrency") is not null) throw new ArgumentException("--rate is the open loop, --concurrency the closed one: give one of them");
        int input = options.Integer("input") ?? 256, output = options.Integer("output") ?? 128;
        return new LoadOptions
        {
            Url = new Uri(options.Required("url").TrimEnd('/') + "/"),
            Model = options.Required("model"),
            ApiKey = options.Text("api-key"),
            Chat = endpoint == "chat",
            IgnoreEos = options.Flag("ignore-eos"),
            Temperature = Number("temperature"),
            SessionHeader = options.Flag("session-header"),
            Rate = Number("rate") is { } rate ? rate > 0 ? rate : throw new ArgumentException("--rate must be above 0") : null,
            Concurrency = Math.Max(1, options.Integer("concurrency") ?? 8),
            Requests = options.Integer("requests") ?? 200,
            Duration = Number("duration") is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
            Warmup = options.Integer("warmup") ?? 8,
            Lengths = lengths switch
            {
                "fixed" => LengthDistribution.Fixed(input, output),
                "sharegpt" => LengthDistribution.ShareGpt(),
                _ => throw new ArgumentException("--lengths must be fixed or sharegpt"),
            },
            SharedPrefix = options.Integer("shared-prefix") ?? 0,
            PrefixGroups = Math.Max(1, options.Integer("prefix-groups") ?? 1),
            Timeout = TimeSpan.FromSeconds(Number("timeout") ?? 600),
            SloFirstToken = Number("slo-ttft") ?? 0.5,
            SloPerToken = Number("slo-tpot") ?? 0.05,
            SloEndToEnd = Number("slo-e2e") ?? double.PositiveInfinity,
            Seed = options.Integer("seed") ?? 1,
            Svg = options.Text("svg"),
            Json = options.Text("json"),
        };

        double? Number(string name) => options.Text(name) is { } text ? double.Parse(text, CultureInfo.InvariantCulture) : null;
    }
}
