import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import net.fortuna.ical4j.data.CalendarBuilder;
import net.fortuna.ical4j.model.Calendar;
import net.fortuna.ical4j.model.component.VEvent;

/** Reads each .ics file named, validates it by its METHOD (RFC 5546) and prints "file: start end" or "file: fault". */
public class CheckInvites {
    public static void main(String[] files) throws Exception {
        for (String file : files) {
            System.out.println(Path.of(file).getFileName() + ": " + check(Path.of(file)));
        }
    }

    private static String check(Path file) throws Exception {
        try (Reader reader = Files.newBufferedReader(file)) {
            Calendar calendar = new CalendarBuilder().build(reader);
            var result = calendar.validate(true);
            if (result.hasErrors()) {
                return "fault " + result.getEntries();
            }
            VEvent event = (VEvent) calendar.getComponent("VEVENT").orElseThrow();
            return instant(event.getDateTimeStart().getDate()) + " " + instant(event.getDateTimeEnd().getDate());
        } catch (Exception error) {
            return "fault " + error;
        }
    }

    private static Object instant(java.time.temporal.Temporal time) {
        return java.time.Instant.from(time);
    }
}
