using System.Text;
using QwenServe.Text.Chat;

namespace QwenServe.Tests.Text.Chat;

public class ChatTemplateTests
{
    [JinjaFact(shared: true)]
    public void Renders_the_templates_of_the_family_as_Jinja2_does()
    {
        using var reference = JinjaReference.Start();
        var directory = Path.Combine(Repository.Shared!, "data", "chat-templates");
        var files = Directory.GetFiles(directory, "*.jinja");
        Assert.NotEmpty(files);
        foreach (string file in files)
        {
            string source = File.ReadAllText(file);
            var template = ChatTemplate.Parse(source);
            for (int seed = 0; seed < 150; seed++)
            {
                var conversation = new ConversationGenerator(seed).Next();
                var (expected, error) = reference.Render(source, ConversationGenerator.Variables(conversation));
                Assert.True(error is null, $"{Path.GetFileName(file)}, seed {seed}: {error}");
                Assert.Equal(expected, template.Render(conversation).Text);
            }
        }
    }
}
