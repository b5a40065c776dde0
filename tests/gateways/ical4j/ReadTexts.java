import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Base64;
import net.fortuna.ical4j.data.CalendarBuilder;
import net.fortuna.ical4j.model.Calendar;
import net.fortuna.ical4j.model.Property;
import net.fortuna.ical4j.model.component.VEvent;

/** Validates each .ics file named and prints a line for each VEVENT: file, UID, start, end, SUMMARY and LOCATION in base64. */
public class ReadTexts {
    public static void main(String[] files) throws Exception {
        for (String file : files) {
            print(Path.of(file));
        }
    }

    private static void print(Path file) throws Exception {
        try (Reader reader = Files.newBufferedReader(file)) {
            Calendar calendar = new CalendarBuilder().build(reader);
            var result = calendar.validate(true);
            if (result.hasErrors()) {
                throw new IllegalStateException(file + ": " + result.getEntries());
            }
            for (VEvent event : calendar.<VEvent>getComponents("VEVENT")) {
                System.out.println(String.join(" ",
                    file.getFileName().toString(),
                    event.getUid().orElseThrow().getValue(),
                    Instant.from(event.getDateTimeStart().getDate()).toString(),
                    Instant.from(event.getDateTimeEnd().getDate()).toString(),
                    text(event, "SUMMARY"),
                    text(event, "LOCATION")));
            }
        }
    }

    private static String text(VEvent event, String name) {
        String value = event.<Property>getProperty(name).map(Property::getValue).orElse("");
        return "=" + Base64.getEncoder().encodeToString(value.getBytes(StandardCharsets.UTF_8));
    }
}
