using QwenServe.Settings;

namespace QwenServe.Hosting;

/// <summary>From settings to a model that answers: find or download the checkpoint, load it, build the engine around it.</summary>
internal static class ModelLoading
{
    public static ServedModel Load(QwenServeSettings settings, Action<string, double?, string?> report, CancellationToken cancel)
    {
        throw new StartupException("no engine yet");
    }
}
