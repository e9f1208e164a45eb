using Microsoft.Extensions.Configuration;

namespace QwenServe.Settings;

/// <summary>Everything that can be set, in the order of <c>--help</c>.</summary>
public static class SettingsCatalog
{
    public static IReadOnlyList<SettingDefinition> All { get; } =
    [
        new("Model:Name", "--model", "Folder of a checkpoint, or org/name on the hub; the embedded model when absent. May be repeated, and say NAME=DIR", "DIR|ORG/NAME", SettingKind.List),
        new("Model:Hub", "--hub", "Where org/name is downloaded from: huggingface (HF_ENDPOINT, HF_TOKEN and HF_HOME are honoured) or modelscope", "HUB"),
        new("Model:Revision", "--revision", "Branch, tag or commit on the hub", "REV"),
        new("Model:DownloadDir", "--download-dir", "Cache for downloads in place of HF_HOME/hub", "DIR"),
        new("Model:Dtype", "--dtype", "Type of the weights in memory: auto (as stored), bf16, f16, f32", "TYPE"),
        new("Model:MaxModelLen", "--max-model-len", "Tokens of the longest sequence, such as 8192, 32k or 32K; auto takes the model's", "N"),
        new("Model:ChatTemplate", "--chat-template", "File with a Jinja chat template in place of the checkpoint's", "FILE"),
        new("Model:GenerationConfig", "--generation-config", "auto takes sampling defaults from generation_config.json, none takes OpenAI's", "auto|none"),
        new("Model:ControlTokensInContent", "--control-tokens-in-content", "Let control tokens written by users act as such, as transformers does", "", SettingKind.Switch),
        new("Model:PoolingType", "--pooling-type", "What embeddings are made of: last (token), mean, or auto: what the checkpoint says, or else last", "TYPE"),

        new("Server:Host", "--host", "Address to listen on; 0.0.0.0 for all", "ADDRESS"),
        new("Server:Port", "--port", "Port to listen on; 0 takes a free one", "PORT"),
        new("Server:ApiKey", "--api-key", "Key that clients must send as Authorization: Bearer; may be repeated", "KEY", SettingKind.List),
        new("Server:ServedModelName", "--served-model-name", "Name that clients use; may be repeated, the first one is written in answers. With several models one for each", "NAME", SettingKind.List),
        new("Server:AllowedOrigins", "--allowed-origins", "Origins whose pages may call the API from a browser; * for all", "ORIGIN", SettingKind.List),
        new("Server:ClientTimeout", "--client-timeout", "Seconds after which a client that does not read its stream is cut off", "SECONDS"),
        new("Server:Playground", "--playground", "Serve a page to talk to the model with at /", "", SettingKind.Switch),
        new("Server:ShutdownTimeout", "--shutdown-timeout", "Seconds that running requests get to finish after SIGTERM", "SECONDS"),

        new("Engine:Device", "--device", "auto, cpu, cuda or cuda:N", "DEVICE"),
        new("Engine:Threads", "--threads", "CPU threads of the engine; auto takes the physical cores", "N"),
        new("Engine:KvCacheMemory", "--kv-cache-memory", "Memory for the KV cache, such as 4GiB; auto takes what is free on a GPU, a quarter of it and at most 4 GiB on a CPU", "BYTES"),
        new("Engine:KvCacheDtype", "--kv-cache-dtype", "Type of the KV cache: auto (fp32 on a CPU, bf16 on a GPU), fp32, bf16, fp16", "TYPE"),
        new("Engine:GpuMemoryUtilization", "--gpu-memory-utilization", "Share of a GPU's memory to use, by all models together", "SHARE"),
        new("Engine:MaxNumSeqs", "--max-num-seqs", "Sequences computed in one step; auto takes what suits the device", "N"),
        new("Engine:MaxNumBatchedTokens", "--max-num-batched-tokens", "Tokens computed in one step; auto takes what suits the device", "N"),
        new("Engine:MaxNumWaiting", "--max-num-waiting", "Requests that may wait; more are refused with 429", "N"),
        new("Engine:MaxWaitingTokens", "--max-waiting-tokens", "Prompt tokens that may wait; what would be more is refused with 429", "N"),
        new("Engine:SchedulingPolicy", "--scheduling-policy", "fcfs, or priority: requests with a lower priority field first", "POLICY"),
        new("Engine:StepTimeout", "--step-timeout", "Seconds after which a step of the engine is taken for hung, and /livez fails", "SECONDS"),
        new("Engine:BlockSize", "--block-size", "Tokens of a KV block", "N"),
        new("Engine:PrefixCaching", "--enable-prefix-caching", "Reuse the KV cache of equal beginnings", "", SettingKind.Switch),

        new("Access:ApiKeyFile", "--api-key-file", "File with a key a line, after it name=, rpm=, tpm= and concurrency= as wanted; read again when it changes", "FILE"),
        new("Access:RequestsPerMinute", "--key-requests-per-minute", "Requests a minute of keys without a limit of their own; 0 is no limit", "N"),
        new("Access:TokensPerMinute", "--key-tokens-per-minute", "Prompt and generated tokens a minute of keys without a limit of their own; 0 is no limit", "N"),
        new("Access:Concurrency", "--key-concurrency", "Requests at once of keys without a limit of their own; 0 is no limit", "N"),
        new("Access:GuardMetrics", "--guard-metrics", "Ask for a key on /metrics too", "", SettingKind.Switch),
        new("Access:SslCertFile", "--ssl-certfile", "Certificate in PEM, with those between it and its root: serves HTTPS; read again when it changes", "FILE"),
        new("Access:SslKeyFile", "--ssl-keyfile", "Its private key in PEM; in the certificate's file when absent", "FILE"),

        new("Limits:RequestTimeout", "--request-timeout", "Seconds that a request may take, waiting included; clients may ask for less in x-request-timeout; 0 is no limit", "SECONDS"),
        new("Limits:MaxBodyBytes", "--max-body-bytes", "Largest request body", "BYTES"),
        new("Limits:MaxHeaderBytes", "--max-header-bytes", "Largest line and headers of a request", "BYTES"),
        new("Limits:MaxMessages", "--max-messages", "Most messages of a request", "N"),
        new("Limits:MaxTools", "--max-tools", "Most tools of a request", "N"),
        new("Limits:MaxSchemaBytes", "--max-schema-bytes", "Largest JSON of a tool, a schema, a pattern or a grammar", "BYTES"),
        new("Limits:MaxStopStrings", "--max-stop-strings", "Most stop strings of a request", "N"),
        new("Limits:MaxStopLength", "--max-stop-length", "Most characters of a stop string", "N"),
        new("Limits:MaxLogProbs", "--max-logprobs", "Most log-probs a token that a request may ask for", "N"),
        new("Limits:MaxStoredResponses", "--max-stored-responses", "Responses of /v1/responses kept to be continued or read again; 0 keeps none", "N"),
        new("Limits:MaxStoredResponseBytes", "--max-stored-response-bytes", "Memory for these responses", "BYTES"),
        new("Limits:RejectUnknownFields", "--reject-unknown-fields", "Answer 400 to a field that is not known, in place of ignoring it", "", SettingKind.Switch),

        new("Log:Level", "--log-level", "verbose, debug, information, warning or error", "LEVEL"),
        new("Log:Format", "--log-format", "text, json, or auto: text on a terminal, JSON otherwise", "FORMAT"),
        new("Log:Requests", "--enable-log-requests", "Write the body of each request into the log, prompts and all", "", SettingKind.Switch),

        new("Telemetry:OtlpTracesEndpoint", "--otlp-traces-endpoint", "Where traces are sent over OTLP; the OTEL_* variables are honoured and none are sent without an endpoint", "URL"),
        new("Telemetry:MetricAliases", "--metric-aliases", "Expose metrics under vLLM's older names too", "", SettingKind.Switch),
    ];

    /// <summary>What is so when nobody says otherwise, by key.</summary>
    public static IReadOnlyDictionary<string, string> Defaults { get; } = ReadDefaults();

    /// <summary>Whether a key of appsettings.json is a setting's, an element of a list's, or of a model of several.</summary>
    internal static bool Knows(string key) => All.Any(d => ModelList.IsOf(key, d.Key)) || ModelList.IsOf(key, "Models");

    private static IReadOnlyDictionary<string, string> ReadDefaults()
    {
        var reader = new SettingsReader(new ConfigurationBuilder().Build());
        ModelSettings.Read(reader);
        ServerSettings.Read(reader);
        EngineSettings.Read(reader);
        AccessSettings.Read(reader);
        LimitSettings.Read(reader);
        LogSettings.Read(reader);
        TelemetrySettings.Read(reader, _ => null);
        return reader.Defaults;
    }
}
